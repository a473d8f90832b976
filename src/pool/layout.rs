pub fn c_header() -> String {
    String::new()
}
