#[link(name = "lua54", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {
    fn luaL_newstate() -> *mut core::ffi::c_void;
}
fn main() {
    unsafe { println!("{:p}", luaL_newstate()) }
}
