@rem Runs all tests, the official Lua test suite on both programs among them.
@cd /d "%~dp0.."
@cargo test --release %*
