fn main() {
    // The host's linker resolves lua_*.
    println!("cargo::rustc-cfg=linked_lua");
    println!("cargo::rerun-if-changed=build.rs");
}
