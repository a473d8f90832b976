//! Compares lua54 and lua54_pool on the same scripts; see `lua54_compare --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lua_pool_allocator::compare::main()
}
