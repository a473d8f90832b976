//! Others to compare with: the baseline under another malloc, and other Lua interpreters.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::programs::{Program, Role, split_name};

/// The environment variable that loads a library into a program before all others.
const PRELOAD: &str = if cfg!(target_vendor = "apple") { "DYLD_INSERT_LIBRARIES" } else { "LD_PRELOAD" };

/// Names of the peers and of their libraries, the preferred one first.
const MALLOCS: [(&str, &[&str]); 5] = [
    ("mimalloc", &["libmimalloc"]),
    ("jemalloc", &["libjemalloc"]),
    ("tcmalloc", &["libtcmalloc_minimal", "libtcmalloc"]),
    ("rpmalloc", &["librpmallocwrap", "librpmalloc"]),
    ("snmalloc", &["libsnmallocshim"]),
];

const INTERPRETERS: [(&str, &str); 2] = [("lua5.4", "lua5.4"), ("luajit -joff", "luajit -joff")];

/// The baseline under the malloc of `NAME=LIBRARY`.
pub(super) fn preloaded(text: &str, baseline: &Program) -> Result<Program, String> {
    let (name, library) = split_name(text);
    let name =
        name.ok_or_else(|| format!("--preload {text}: expected NAME=LIBRARY, such as mimalloc=libmimalloc.so"))?;
    if cfg!(windows) {
        return Err(format!("--preload {text}: Windows cannot put another malloc under a program"));
    }
    // The loader looks for a bare name in its own folders; we want one file, and to say so when it is not there.
    let path = Path::new(library);
    let found =
        if path.components().count() == 1 && !path.is_file() { library_named(library) } else { Some(path.into()) };
    let file = found.and_then(|path: PathBuf| fs::canonicalize(path).ok()).filter(|path| path.is_file());
    let file = file.ok_or_else(|| format!("--preload {text}: there is no library {library}"))?;
    Ok(with_library(name, &file, baseline))
}

fn with_library(name: &str, library: &Path, baseline: &Program) -> Program {
    let mut program = baseline.clone();
    program.name = name.to_owned();
    program.role = Role::Peer;
    program.environment.push((PRELOAD, library.as_os_str().to_owned()));
    let library = library.file_name().unwrap_or_default().to_string_lossy();
    program.shown_command = format!("{PRELOAD}={library} {}", baseline.shown_command);
    program
}

/// What is installed here, except for what the comparison has already.
pub(super) fn installed(baseline: &Program, others: &[Program]) -> Vec<Program> {
    let mut peers = Vec::new();
    if !cfg!(windows) {
        for (name, libraries) in MALLOCS {
            if let Some(file) = libraries.iter().find_map(|library| library_named(library)) {
                peers.push(with_library(name, &file, baseline));
            }
        }
    }
    for (name, command) in INTERPRETERS {
        if let Ok(mut program) = Program::from_text(command, Role::Peer, baseline.keeps_name) {
            program.name = name.to_owned();
            peers.push(program);
        }
    }
    let is_new = |peer: &Program| {
        others.iter().all(|other| {
            (&other.executable, &other.arguments, &other.environment)
                != (&peer.executable, &peer.arguments, &peer.environment)
        })
    };
    peers.retain(is_new);
    peers
}

fn library_named(name: &str) -> Option<PathBuf> {
    library_folders().iter().find_map(|folder| library_in(folder, name))
}

/// The file of this name, with or without a version: libx.so, libx.so.2, libx.2.dylib.
fn library_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let stem = name.split(".so").next().unwrap_or(name);
    let is_it = |file: &str| {
        file == name
            || file.strip_prefix(stem).is_some_and(|rest| {
                rest == ".so" || rest.starts_with(".so.") || (rest.starts_with('.') && rest.ends_with(".dylib"))
            })
    };
    let entries = fs::read_dir(folder).ok()?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut files: Vec<String> = names.filter(|file| is_it(file)).collect();
    files.sort_by_key(|file| (file.len(), file.clone()));
    files.into_iter().map(|file| folder.join(file)).find(|path| path.is_file())
}

fn library_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::split_paths(&env::var_os("LD_LIBRARY_PATH").unwrap_or_default())
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    // benchmark/peers/build.sh puts some beside the folder that our own program was built in.
    folders.extend(env::current_exe().ok().iter().filter_map(|file| Some(file.parent()?.parent()?.join("peers"))));
    let triplet = format!("{}-linux-gnu", env::consts::ARCH);
    folders.push("/usr/local/lib".into());
    folders.push(Path::new("/usr/lib").join(triplet));
    folders.extend(["/usr/lib64", "/usr/lib", "/opt/homebrew/lib"].map(PathBuf::from));
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn libraries_are_found_with_and_without_a_version() {
        let folder = folder_with(&["libjemalloc.so.2", "libmimalloc.so", "libmimalloc.so.2.0", "libtcmalloc.a"]);
        let found = |name: &str| library_in(folder.path(), name).map(|path| path.file_name().unwrap().to_owned());
        assert_eq!(found("libjemalloc").unwrap(), "libjemalloc.so.2");
        assert_eq!(found("libmimalloc").unwrap(), "libmimalloc.so");
        assert_eq!(found("libjemalloc.so.2").unwrap(), "libjemalloc.so.2");
        assert_eq!(found("libtcmalloc"), None, "a static library cannot be loaded");
        assert_eq!(found("libje"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_library_runs_under_the_baseline() {
        let folder = folder_with(&["libother.so"]);
        let library = folder.path().join("libother.so");
        let baseline = Program::from_text("sh -e", Role::Baseline, false).unwrap();
        let peer = preloaded(&format!("other={}", library.display()), &baseline).unwrap();
        assert_eq!((peer.name.as_str(), peer.role), ("other", Role::Peer));
        assert_eq!((&peer.executable, &peer.arguments), (&baseline.executable, &baseline.arguments));
        assert_eq!(peer.environment.len(), 1);
        assert_eq!(peer.shown_command, format!("{PRELOAD}=libother.so sh -e"));
        let error = preloaded("other=libnosuch.so", &baseline).unwrap_err();
        assert_eq!(error, "--preload other=libnosuch.so: there is no library libnosuch.so");
        assert!(preloaded("libother.so", &baseline).unwrap_err().contains("NAME=LIBRARY"));
    }

    #[cfg(unix)]
    #[test]
    fn what_takes_part_already_is_no_peer() {
        let baseline = Program::from_text("sh", Role::Baseline, false).unwrap();
        let found = installed(&baseline, &[]);
        assert_eq!(installed(&baseline, &found).len(), 0, "all are known");
    }
}
