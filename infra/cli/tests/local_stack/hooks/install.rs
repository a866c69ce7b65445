//! `answerback hook install`: what it writes, and what it leaves.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
};

use crate::asking::command::Place;

const INSTALL: [&str; 6] = ["hook", "install", "claude", "--project", "--to", "ada@example.com"];
const SETTINGS: &str = ".claude/settings.json";

fn with(flags: &[&'static str]) -> Vec<&'static str> {
    [&INSTALL[..], flags].concat()
}

#[tokio::test]
async fn second_install_changes_nothing() {
    let place = Place::empty();
    let path = place.home.path().join(SETTINGS);
    let first = place.run(&with(&["--yes"])).with_code(0);
    assert!(first.stdout.contains("+    \"PermissionRequest\": [\n"), "{}", first.stdout);
    let text = fs::read_to_string(&path).expect("it was written");
    let second = place.run(&INSTALL).with_code(0);
    assert_eq!(second.stdout, "");
    assert!(second.stderr.contains("has these hooks already"), "{}", second.stderr);
    assert_eq!(fs::read_to_string(&path).expect("it exists"), text);

    let third = place.run(&with(&["--wait", "2m", "--yes"])).with_code(0);
    let changed: Vec<&str> = third.stdout.lines().filter(|it| it.starts_with('+')).collect();
    // The header, and the command and timeout of two hooks.
    assert_eq!(changed.len(), 5, "{}", third.stdout);
    assert!(changed[2].contains("\"timeout\": 150"), "{}", third.stdout);
}

#[tokio::test]
async fn install_without_a_terminal_needs_a_flag() {
    let place = Place::empty();
    let ended = place.run(&INSTALL).with_code(2);
    assert!(ended.stdout.contains("answerback hook permission"), "{}", ended.stdout);
    assert!(ended.stderr.contains("--yes writes without it"), "{}", ended.stderr);
    assert!(!place.home.path().join(SETTINGS).exists());
}

#[tokio::test]
async fn malformed_settings_are_left_as_they_are() {
    let place = Place::empty();
    let path = place.home.path().join(SETTINGS);
    fs::create_dir(path.parent().expect("a folder")).expect("the home exists");
    let text = "{\n  \"model\": \"opus\",\n}\n";
    fs::write(&path, text).expect("the folder exists");
    let ended = place.run(&with(&["--yes"])).with_code(2);
    let expected = format!("`{}` was not changed: it is not valid JSON", path.display());
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    assert!(ended.stderr.contains("at line 3 column 1"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&path).expect("it exists"), text);
}

#[tokio::test]
async fn link_and_permissions_of_the_settings_stay() {
    let place = Place::empty();
    let path = place.home.path().join(SETTINGS);
    let target = place.home.path().join("dotfiles.json");
    fs::create_dir(path.parent().expect("a folder")).expect("the home exists");
    fs::write(&target, "{\"model\": \"opus\"}").expect("the home exists");
    fs::set_permissions(&target, Permissions::from_mode(0o640)).expect("the file exists");
    symlink(&target, &path).expect("the folder exists");
    place.run(&with(&["--yes"])).with_code(0);
    assert!(path.is_symlink());
    let mode = fs::metadata(&target).expect("the file exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let text = fs::read_to_string(&target).expect("the file exists");
    assert!(text.starts_with("{\"model\": \"opus\", \"hooks\": {"), "{text}");
}
