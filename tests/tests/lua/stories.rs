//! The stories in `lua/tests`: several clients in one script.

use std::fs;

use crate::run::{Script, shipped};
use letschat_tests::server::TestServer;

#[test]
fn every_story_goes_as_it_is_told() {
    let stories = fs::read_dir(shipped("tests")).unwrap().map(|entry| entry.unwrap().path());
    // play.lua is a module that the stories share.
    let stories = stories.filter(|path| path.file_name().unwrap() != "play.lua");
    let mut count = 0;
    for story in stories {
        let server = TestServer::start(&[]);
        let ended = Script::start(&server.location(), &story, &[]).ends();
        assert_eq!(ended.status, 0, "{}: {}{}", story.display(), ended.said, ended.errors);
        assert!(ended.said.ends_with(": as told"), "{}: {}", story.display(), ended.said);
        count += 1;
    }
    assert!(count >= 5, "{count} stories");
}

#[test]
fn a_story_that_goes_otherwise_fails_and_says_where() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::copy(shipped("tests/play.lua"), folder.path().join("play.lua")).unwrap();
    let file = folder.path().join("story.lua");
    let story = "local play = require('play')\n\
                 local alice = play.enter('alice')\n\
                 play.fails('nobody', alice.broadcast, 'hello')\n";
    fs::write(&file, story).unwrap();
    let ended = Script::start(&server.location(), &file, &[]).ends();
    assert_eq!(ended.status, 1);
    assert!(ended.errors.contains("story.lua:3: it did not fail with nobody"), "{}", ended.errors);
}
