//! The script engine from outside, without commands and storage.

mod aliases;
mod engine;
mod libraries;
mod preemption;
mod sandbox;
mod stress;
mod support;

/// A function that Lua calls outside the trampoline would be pre-empted inside Rust code.
#[test]
fn lua_reaches_rust_through_the_trampoline_alone() {
    let mut files = 0;
    for folder in ["src/script", "src/script/library"] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let registers = [
                "lua_pushcclosure",
                "lua_pushcfunction",
                "lua_register",
                "luaL_setfuncs",
            ];
            if !path.ends_with("trampoline.rs") {
                assert!(
                    registers.iter().all(|name| !text.contains(name)),
                    "{}",
                    path.display()
                );
            }
            let uses = text.matches("mlua::").count();
            assert_eq!(
                uses,
                text.matches("use mlua::ffi;").count(),
                "{}",
                path.display()
            );
        }
    }
    assert!(files > 15, "only {files} files were found");
}
