@rem Builds lua54, lua54_pool and lua54_compare into target/release.
@cd /d "%~dp0.."
@cargo build --release %*
