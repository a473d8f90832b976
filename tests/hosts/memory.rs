//! C hosts with memory of their own, and groups of pools.

use std::process::Command;

use crate::blocks_served;
use crate::build::{Link, Lua, host, libraries, succeeds};
use crate::support::scratch;

/// What tests/hosts/memory.c prints: standard output and standard error.
fn memory(profile: &str, what: &str) -> (String, String) {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let lua = Lua::Compiled("lua54");
    let program = host(folder.path(), "tests/hosts/memory.c", &lua, Link::Static, &libraries(profile));
    succeeds(Command::new(program).arg(what))
}

#[test]
fn a_state_lives_in_a_static_buffer() {
    for lua in ["lua54", "lua54_pool"] {
        let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
        let libraries = libraries("release");
        let program = host(folder.path(), "examples/c_fixed_buffer.c", &Lua::Compiled(lua), Link::Static, &libraries);
        let (out, err) = succeeds(&mut Command::new(program));
        assert_eq!(out, "false\tnot enough memory\n10000\tstill here\n", "{lua}");
        assert!(blocks_served(&err) > 30_000, "{err}");
    }
}

#[test]
fn a_host_gives_its_own_memory_and_gets_all_of_it_back() {
    let (out, _) = memory("release", "own");
    assert_eq!(out, "works: yes\non the heap: yes\nblock kept: yes\ntrimmed: yes\nall back: yes\n");
}

#[test]
fn a_host_whose_memory_runs_out_gets_an_error_from_lua() {
    let (out, err) = memory("release", "failing");
    let expected = "callback: 1 lua_pool_new: not enough memory for a pool\n\
        some failed: yes\none refused: yes\nall back: yes\n";
    assert_eq!((out.as_str(), err.as_str()), (expected, ""));
}

#[test]
fn wrong_memory_is_refused_with_a_reason() {
    let (out, _) = memory("release", "wrong");
    let (misaligned, rest) = out.split_at(out.find("callback: 1").expect("a refusal"));
    let misaligned: Vec<&str> = misaligned.lines().collect();
    let what = "callback: 2 the map function returned ... , which is not aligned to 65536 bytes";
    assert!(!misaligned.is_empty() && misaligned.iter().all(|&line| line == what), "{out}");
    let expected = "callback: 1 lua_pool_new: not enough memory for a pool\n\
        misaligned: no\nall back: yes\n\
        callback: 2 lua_pool_new: config->map and config->unmap go together; one is NULL\n\
        map alone: no\n\
        callback: 2 lua_pool_new: config has both map and unmap, and a buffer; it can be one of them\n\
        map and buffer: no\n\
        callback: 2 lua_pool_new: config->buffer_bytes is given, and config->buffer is NULL\n\
        no buffer: no\n\
        callback: 2 lua_pool_new: config->buffer is too small; 192 KiB are enough in any case\n\
        small buffer: no\n";
    assert_eq!(rest, expected);
}

#[test]
fn wrong_groups_are_refused_with_a_reason() {
    let (out, err) = memory("release", "wrong-groups");
    let expected = "size 0: no\n\
        callback: 2 lua_pool_group_new: config->limit_bytes is in bytes, 0 for none, and at least 65536\n\
        limit 1000: no\n\
        callback: 2 lua_pool_group_set_limit: the limit is in bytes, 0 for none, and at least 65536\n\
        2\n\
        callback: 2 lua_pool_group_stats: no place for the figures (NULL)\n\
        2\n\
        callback: 2 lua_pool_new: a pool in a group has no memory of its own; configure the group's\n\
        memory of its own: no\n\
        0\n\
        3 2\n\
        3 3 3\n\
        callback: 3 lua_pool_new: config->group is no group from lua_pool_group_new, or it was freed already\n\
        freed group: no\n\
        its pool works on: yes\n\
        close: 0\n";
    assert_eq!(out, expected);
    assert_eq!(err.lines().count(), 6, "{err}");
}

#[test]
fn states_of_several_threads_share_a_group() {
    for profile in ["release", "dev"] {
        let (out, err) = memory(profile, "threads");
        let expected = "served: 100, pools: 0, committed: 0\n\
            reused: yes\nbelow the limit: yes\ntrimmed: yes\nfree: 0\n";
        assert_eq!((out.as_str(), err.as_str()), (expected, ""), "{profile}");
    }
}

#[test]
fn states_of_a_group_share_its_limit() {
    let (out, _) = memory("release", "limit");
    let expected = "2\t2097152\t131072\nfigures: yes\nthe first fits: yes\nnot enough memory\nthe second fits: no\nthe second fits alone: yes\n0 0\n";
    assert_eq!(out, expected);
}
