//! A Rust host that uses Lua through mlua, on a pool.
//!
//!     cargo run --release -- [--system | --attach | --newstate] [SCRIPT.lua]

use std::process::ExitCode;

use lua_pool_allocator::Pool;
use lua_pool_allocator::mlua::{PoolLua, attach, stats};
use mlua::Lua;

const BUILTIN_SCRIPT: &str = "
    local words = {}
    for i = 1, 20000 do words[i] = { name = 'word ' .. i, size = i } end
    table.sort(words, function (a, b) return a.name < b.name end)
    print(#words, words[1].name, words[#words].name)
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mlua_host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let mode = arguments.next_if(|argument| argument.starts_with("--"));
    let script = arguments.next();
    match mode.as_deref() {
        Some("--system") => work(&Lua::new(), script.as_deref())?,
        Some("--newstate") => {
            // SAFETY: `work` keeps nothing of the state.
            let lua = unsafe { PoolLua::new(Pool::new()?)? };
            work(&lua, script.as_deref())?;
        }
        None | Some("--attach") => {
            let lua = Lua::new();
            attach(&lua, Pool::new()?)?;
            work(&lua, script.as_deref())?;
        }
        Some(other) => return Err(format!("there is no option {other}").into()),
    }
    Ok(())
}

/// Runs the script, calls Lua from Rust and Rust from Lua, and reports what the pool served.
fn work(lua: &Lua, script: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let arg = lua.create_table()?;
    arg.set(0, script)?;
    lua.globals().set("arg", arg)?;
    match script {
        Some("pushes") => pushes(lua)?,
        Some(path) => lua.load(std::fs::read_to_string(path)?).set_name(path).exec()?,
        None => lua.load(BUILTIN_SCRIPT).exec()?,
    }
    if let Some(stats) = stats(lua) {
        let blocks: u64 = stats.classes.iter().map(|class| class.allocations).sum();
        let (live, peak) = (stats.live_bytes, stats.peak_bytes);
        eprintln!("pool: {blocks} blocks handed out, {live} live bytes, {peak} bytes at the peak");
    }
    Ok(())
}

/// What mlua protects in a state that is not its own: pushing strings, tables and functions from Rust.
fn pushes(lua: &Lua) -> mlua::Result<()> {
    let list = lua.create_table()?;
    for i in 0..300_000 {
        let row = lua.create_table()?;
        row.set("name", format!("row {i}"))?;
        row.set("size", i)?;
        list.set(i % 1000 + 1, row)?;
    }
    let double = lua.create_function(|_, n: i64| Ok(2 * n))?;
    lua.globals().set("double", double)?;
    let sum: i64 = lua.load("local sum = 0 for i = 1, 300000 do sum = sum + double(i) end return sum").eval()?;
    println!("{} {sum}", list.raw_len());
    Ok(())
}
