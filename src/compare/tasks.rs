//! What to run: scripts from the command line, and the workloads of a suite.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::options::Options;
use super::programs::make_unique;

/// One script with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub name: String,
    pub script: PathBuf,
    pub arguments: Vec<OsString>,
    pub description: String,
}

const SUITE: &str = "benchmark/suite.tsv";
const COLUMNS: [&str; 4] = ["name", "script", "args", "description"];

/// The suite's workloads first, then the scripts of the command line.
pub(super) fn tasks(options: &Options) -> Result<Vec<Task>, String> {
    let mut tasks = Vec::new();
    if let Some(file) = &options.suite {
        let file = match file {
            Some(file) => file.clone(),
            None => find_suite().ok_or_else(|| {
                format!("{SUITE} is neither here nor in a folder above lua54_compare; name it with --suite=FILE")
            })?,
        };
        let text = fs::read_to_string(&file).map_err(|e| format!("cannot read the suite {}: {e}", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let suite = parse_suite(&text, folder).map_err(|e| format!("{}: {e}", file.display()))?;
        tasks.extend(only(suite, &options.only)?);
    }
    for script in &options.scripts {
        let name = script.file_stem().unwrap_or(script.as_os_str()).to_string_lossy().into_owned();
        let arguments = options.script_arguments.clone();
        tasks.push(Task { name, script: script.clone(), arguments, description: String::new() });
    }
    if tasks.is_empty() {
        return Err("no script to run; name one, or use --suite for the shipped workloads (see --help)".into());
    }
    make_unique(&mut tasks.iter_mut().map(|task| &mut task.name).collect::<Vec<_>>());
    Ok(tasks)
}

fn find_suite() -> Option<PathBuf> {
    let here = PathBuf::from(SUITE);
    if here.is_file() {
        return Some(here);
    }
    let me = env::current_exe().ok()?;
    me.ancestors().skip(1).map(|folder| folder.join(SUITE)).find(|file| file.is_file())
}

fn parse_suite(text: &str, folder: &Path) -> Result<Vec<Task>, String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let header: Vec<&str> = lines.next().map(|(_, line)| line.split('\t').map(str::trim).collect()).unwrap_or_default();
    if header != COLUMNS {
        return Err(format!("its first line must name the columns {}, separated by tabs", COLUMNS.join(", ")));
    }
    let mut tasks = Vec::new();
    for (index, line) in lines {
        let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
        let &[name, script, ref rest @ ..] = &cells[..] else {
            return Err(format!("line {}: name and script are missing", index + 1));
        };
        if name.is_empty() || script.is_empty() || rest.len() > 2 {
            return Err(format!("line {}: expected {}, separated by tabs", index + 1, COLUMNS.join(", ")));
        }
        tasks.push(Task {
            name: name.to_owned(),
            script: find_script(folder, script),
            arguments: rest.first().unwrap_or(&"").split_whitespace().map(OsString::from).collect(),
            description: rest.get(1).copied().unwrap_or_default().to_owned(),
        });
    }
    if tasks.is_empty() {
        return Err("it lists no workload".into());
    }
    Ok(tasks)
}

/// A suite's script stands beside the list, or is named from the folder above it.
fn find_script(folder: &Path, script: &str) -> PathBuf {
    let beside = folder.join(script);
    let above = folder.parent().unwrap_or(Path::new("")).join(script);
    if !beside.is_file() && above.is_file() { above } else { beside }
}

fn only(suite: Vec<Task>, names: &[String]) -> Result<Vec<Task>, String> {
    if let Some(unknown) = names.iter().find(|name| suite.iter().all(|task| task.name != **name)) {
        let known: Vec<&str> = suite.iter().map(|task| task.name.as_str()).collect();
        return Err(format!("the suite has no workload \"{unknown}\"; it has {}", known.join(", ")));
    }
    Ok(suite.into_iter().filter(|task| names.is_empty() || names.contains(&task.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name\tscript\targs\tdescription\nmix\tmix.lua\t1000 2048\tSmall tables\nidle\tidle.lua\n";

    #[test]
    fn rows_of_a_suite() {
        let tasks = parse_suite(GOOD, Path::new("bench")).unwrap();
        assert_eq!(tasks[0].name, "mix");
        assert_eq!(tasks[0].script, Path::new("bench").join("mix.lua"));
        assert_eq!(tasks[0].arguments, ["1000", "2048"]);
        assert_eq!(tasks[0].description, "Small tables");
        assert_eq!(tasks[1].arguments, [""; 0]);
    }

    #[test]
    fn windows_line_ends_do_no_harm() {
        let tasks = parse_suite(&GOOD.replace('\n', "\r\n"), Path::new("")).unwrap();
        assert_eq!(tasks[1].script, Path::new("idle.lua"));
    }

    #[test]
    fn a_broken_suite_says_which_line() {
        assert!(parse_suite("", Path::new("")).unwrap_err().contains("first line"));
        assert!(parse_suite("mix\tmix.lua\n", Path::new("")).unwrap_err().contains("first line"));
        let missing = format!("{GOOD}alone\n");
        assert!(parse_suite(&missing, Path::new("")).unwrap_err().starts_with("line 4"));
    }

    #[test]
    fn an_unknown_workload_is_named_with_the_known_ones() {
        let suite = parse_suite(GOOD, Path::new("")).unwrap();
        assert_eq!(only(suite.clone(), &["idle".into()]).unwrap().len(), 1);
        let error = only(suite, &["mixx".into()]).unwrap_err();
        assert_eq!(error, "the suite has no workload \"mixx\"; it has mix, idle");
    }
}
