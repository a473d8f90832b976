@rem Builds everything and compares the two programs on the shipped workloads.
@cd /d "%~dp0.."
@cargo build --release && target\release\lua54_compare %* benchmark\mix.lua benchmark\vector.lua benchmark\small_strings.lua
