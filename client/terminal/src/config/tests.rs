use super::*;
use clap::CommandFactory as _;
use letschat_flags::settings_file::sample;

fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
    Options::try_parse_from([&["letschat", "--data", "/nowhere"], arguments].concat())
}

fn config(arguments: &[&str]) -> Config {
    options(arguments).unwrap().to_config().unwrap()
}

#[test]
fn the_command_line_is_sound() {
    Options::command().debug_assert();
}

#[test]
fn the_sample_settings_are_all_there_are() {
    let sample = include_str!("../../settings.sample.toml");
    assert_eq!(sample::check::<Options>(sample, &settings_place()), Ok(()));
}

#[test]
fn the_server_is_given_by_position_or_by_flag() {
    let server = |arguments: &[&str]| config(arguments).server.to_string();
    assert_eq!(server(&["--server", "there:1"]), "there:1");
    assert_eq!(server(&["there"]), "there:4400");
    assert_eq!(server(&["there", "99"]), "there:99");
    assert_eq!(server(&["there", "99", "--server", "elsewhere"]), "there:99");
    let fingerprint = "ab".repeat(32);
    let given = config(&[&format!("there#{fingerprint}"), "99"]).server;
    let given = &given.servers()[0];
    assert_eq!(given.fingerprint.unwrap().to_string(), fingerprint);
    assert_eq!(given.port, 99);
    assert_eq!(server(&["--server", "a,b:1"]), "a:4400,b:1");
}

#[test]
fn open_room_is_a_command_and_every_other_word_a_host() {
    let room = |arguments: &[&str]| options(arguments).unwrap().open_room();
    let address = room(&["open-room", "::1", "9090"]).unwrap().unwrap();
    assert_eq!(address.to_string(), "[::1]:9090");
    for line in [&["there", "99"][..], &["open"], &["openroom"], &["--server", "open-room"]] {
        assert!(room(line).unwrap().is_none(), "{line:?}");
    }
    for plain in [&["--plain", "open-room", "a", "1"][..], &["open-room", "a", "1", "--plain"]] {
        assert!(options(plain).unwrap().plain, "{plain:?}");
    }
    assert!(room(&["open-room", "a b", "1"]).is_err());
    assert!(room(&["--json", "open-room", "a", "1"]).is_err());
    for line in [&["open-room"][..], &["open-room", "a"], &["open-room", "a", "0"]] {
        assert!(options(line).is_err(), "{line:?}");
    }
}

#[test]
fn wrong_usage_is_refused() {
    for arguments in [
        &["there", "0"][..],
        &["there", "x"],
        &["--server", "a b"],
        &["--as", "-x"],
        &["--as", "alice", "--no-login"],
        &["--json", "--plain"],
        &["--tries", "0"],
        &["a", "1", "c"],
    ] {
        assert!(options(arguments).is_err(), "{arguments:?}");
    }
    assert!(options(&["a b"]).unwrap().to_config().is_err());
}

#[test]
fn port_as_a_flag_is_told_where_it_belongs() {
    for (arguments, told) in [
        (&["--port", "99"][..], "letschat HOST 99"),
        (&["-p", "99"], "--server HOST:99"),
        (&["--port=99"], "letschat HOST PORT"),
        (&["open-room", "there", "--port", "99"], "'letschat open-room HOST 99'"),
    ] {
        let arguments = ["letschat"].iter().chain(arguments).map(OsString::from);
        let error = Options::read(arguments).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn ports_in_the_wrong_place_are_told() {
    let server =
        |arguments: &[&str]| options(arguments).unwrap().to_config().unwrap_err().to_string();
    for arguments in [&["9090"][..], &["9090", "98"]] {
        let told = server(arguments);
        assert!(told.contains("127.0.0.1:9090") && told.contains("--peer-port"), "{told}");
    }
    let told = server(&["127.0.0.1:99", "98"]);
    assert!(told.contains("two ports, 99 and 98"), "{told}");
    let told = options(&["--server", "9090"]).unwrap_err().to_string();
    assert!(told.contains("127.0.0.1:9090"), "{told}");
    let room = |host| options(&["open-room", host, "98"]).unwrap().open_room();
    assert!(room("a:99").unwrap_err().to_string().contains("two ports, 99 and 98"));
    assert!(room(&format!("a#{}", "ab".repeat(32))).is_err());
}

#[test]
fn the_first_login_is_as_told() {
    let login = |arguments: &[&str]| {
        let options = options(arguments).unwrap();
        options.first_login(&options.to_config().unwrap()).unwrap()
    };
    assert_eq!(login(&["--as", "Alice"]), FirstLogin::As("alice".parse().unwrap()));
    assert_eq!(login(&["--no-login"]), FirstLogin::None);
    assert_eq!(login(&[]), FirstLogin::None);
}

#[test]
fn classroom_is_joined_by_an_id_and_two_ports() {
    let options = options(&["7", "5007", "6007"]).unwrap();
    let config = options.to_config().unwrap();
    assert_eq!(config.server.to_string(), "127.0.0.1:4400");
    assert_eq!((config.classroom, config.peer_port), (Some(Classroom { server_port: 5007 }), 6007));
    assert_eq!(config.peer_listen, Some("127.0.0.1".parse().unwrap()));
    let login = options.first_login(&options.to_config().unwrap()).unwrap();
    assert_eq!(login, FirstLogin::As("7".parse().unwrap()));
    let ipv6 = self::config(&["7", "5007", "6007", "--server", "[::1]:99"]);
    assert_eq!(ipv6.peer_listen, Some("::1".parse().unwrap()));
    let elsewhere = self::config(&["7", "5007", "6007", "--server", "school:99"]);
    assert_eq!((elsewhere.server.to_string(), elsewhere.peer_listen), ("school:99".into(), None));
}

#[test]
fn classroom_refuses_what_is_no_id_or_port() {
    for id in ["10.0.0.1", "::1", "-", "a b"] {
        let options = options(&["--", id, "5001", "6001"]).unwrap();
        let login = options.first_login(&options.to_config().unwrap());
        assert!(matches!(login, Err(OptionsError::Id(_))), "{id}");
    }
    let same = options(&["1", "5001", "5001"]).unwrap().to_config();
    assert!(matches!(same, Err(OptionsError::SamePorts)));
    assert!(options(&["1", "0", "6001"]).is_err());
    assert!(options(&["1", "5001", "65536"]).is_err());
    assert!(options(&["1", "5001", "6001", "--as", "bob"]).is_err());
}
