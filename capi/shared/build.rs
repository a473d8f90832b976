fn main() {
    // Exports what takes over luaL_newstate and lua_close when the library is preloaded into a program.
    println!("cargo::rustc-cfg=preload");
    println!("cargo::rerun-if-changed=build.rs");
}
