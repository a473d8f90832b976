fn main() {
    // Exports what takes over luaL_newstate and lua_close when the library is preloaded into a program.
    println!("cargo::rustc-cfg=preload");
    // A host that is linked with the file by its path asks for it by its name alone.
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "android" | "freebsd") => {
            println!("cargo::rustc-link-arg-cdylib=-Wl,-soname,liblua_pool_allocator.so");
        }
        Ok("macos") => {
            println!("cargo::rustc-link-arg-cdylib=-Wl,-install_name,@rpath/liblua_pool_allocator.dylib");
        }
        _ => {}
    }
    println!("cargo::rerun-if-changed=build.rs");
}
