//! The same C host on every Lua that Debian packages.

use std::process::Command;

use crate::blocks_served;
use crate::build::{Link, Lua, host, libraries, succeeds};
use crate::support::scratch;

const PACKAGES: [&str; 5] = ["lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit"];

#[test]
#[ignore = "needs Debian packages liblua5.1-0-dev to liblua5.4-dev, libluajit-5.1-dev, pkg-config; .ci/run installs them"]
fn a_c_host_runs_on_every_lua_of_debian() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let libraries = libraries("release");
    for package in PACKAGES {
        for link in [Link::Static, Link::Shared] {
            let program = host(folder.path(), "examples/c_host.c", &Lua::Installed(package), link, &libraries);
            for mode in [None, Some("--attach"), Some("--checked")] {
                let (out, err) = succeeds(Command::new(&program).args(mode));
                assert_eq!(out, "20000\tword 1\tword 9999\n", "{package}");
                assert!(blocks_served(&err) > 50_000, "{package} {mode:?}: {err}");
            }
        }
    }
}
