//! The registry: libraries by name, functions by name, all or nothing.

use super::*;

fn library(name: &str, functions: &[&str]) -> Library {
    let code: Arc<[u8]> = format!("#!lua name={name}\n{functions:?}")
        .into_bytes()
        .into();
    let script = Script {
        sha: digest_of(&[b"library", &code]),
        body: code,
        kind: Kind::Library,
    };
    let registered = functions.iter().map(|function| Registered {
        name: function.as_bytes().into(),
        description: None,
        flags: Flags::NONE,
    });
    Library::new(name.as_bytes(), &script, registered.collect())
}

fn names(registry: &Registry) -> Vec<String> {
    let libraries = registry.libraries();
    libraries.iter().map(|own| text(&own.name)).collect()
}

#[test]
fn the_first_line_names_the_library() {
    assert_eq!(name_of(b"#!lua name=mine\n"), Ok(b"mine".into()));
    assert_eq!(name_of(b"#!LUA NAME=\"mine\" \r\n"), Ok(b"mine".into()));
    assert_eq!(name_of(b"#!lua 'name=mine'\n"), Ok(b"mine".into()));
    for (code, error) in [
        (&b"return 1"[..], MetadataError::Missing),
        (b"#!lua name=mine", MetadataError::Invalid),
        (b"#!lua name=\"mine\n", MetadataError::Invalid),
        (b"#!lua\n", MetadataError::NoName),
        (b"#! lua\n", MetadataError::Unknown(b"lua".into())),
        (b"#!lua name=a name=b\n", MetadataError::TwoNames),
        (b"#!lua name=a b=c\n", MetadataError::Unknown(b"b=c".into())),
        (b"#!lua name=\n", MetadataError::BadName),
        (b"#!lua name=a-b\n", MetadataError::BadName),
        (b"#!js name=a\n", MetadataError::Engine(b"js".into())),
    ] {
        assert_eq!(name_of(code), Err(error), "{}", text(code));
    }
}

#[test]
fn functions_are_found_in_capitals_too_and_go_with_their_library() {
    let registry = Registry::new();
    let all = vec![library("a", &["Get"]), library("b", &["set"])];
    registry.add(all, Policy::Append).expect("no collision");
    let get = registry.function(b"gET").expect("it is there");
    assert_eq!(get.script.name(), b"Get");
    assert!(registry.delete(b"a"));
    assert!(!registry.delete(b"a"));
    assert!(registry.function(b"get").is_none());
    assert!(registry.function(b"set").is_some());
    assert_eq!(registry.libraries().function_count(), 1);
    // Whoever found it before has it still.
    assert_eq!(get.script.name(), b"Get");
}

#[test]
fn what_collides_changes_nothing() {
    let registry = Registry::new();
    let add = |libraries, policy| registry.add(libraries, policy);
    add(vec![library("a", &["f"])], Policy::Append).expect("no collision");
    let before = registry.libraries();
    let exists = RegistryError::LibraryExists("a".into());
    let two = vec![library("b", &["g"]), library("a", &["h"])];
    assert_eq!(add(two, Policy::Append), Err(exists));
    let taken = RegistryError::FunctionExists("F".into());
    let two = vec![library("b", &["g"]), library("c", &["F"])];
    assert_eq!(add(two, Policy::Replace), Err(taken));
    assert!(Arc::ptr_eq(&before, &registry.libraries()));
}

#[test]
fn a_new_library_takes_the_place_of_the_old_one_with_all_its_functions() {
    let registry = Registry::new();
    let both = vec![library("a", &["f", "g"]), library("b", &["h"])];
    registry.add(both, Policy::Append).expect("no collision");
    let next = vec![library("a", &["f"]), library("c", &["g"])];
    registry.add(next, Policy::Replace).expect("no collision");
    assert_eq!(names(&registry), ["a", "b", "c"]);
    assert_eq!(registry.libraries().function_count(), 3);
    let only = vec![library("d", &["f"])];
    registry.add(only, Policy::Flush).expect("no collision");
    assert_eq!(names(&registry), ["d"]);
    registry.flush();
    assert!(registry.libraries().is_empty());
    assert!(registry.function(b"f").is_none());
}
