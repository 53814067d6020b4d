//! What a script asks of the system, seen from outside by `strace`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::programs::{Running, program};
use crate::run::NOWHERE;

/// Tries whatever could reach outside, and computes, prints and hoards besides.
const ATTACK: &str = "print('begin')\n\
    local tried = {}\n\
    local function try(thing)\n\
      if thing == nil or tried[thing] then return end\n\
      tried[thing] = true\n\
      if type(thing) == 'table' then for _, inner in thing do try(inner) end end\n\
      if type(thing) == 'function' then\n\
        for _, argument in {'/etc/passwd', '../../etc/passwd', '|touch /tmp/x', 5.5} do\n\
          pcall(thing, argument, 'w')\n\
        end\n\
      end\n\
    end\n\
    for _, name in {'io', 'os', 'package', 'debug', 'require', 'loadstring', 'load', 'dofile', \
      'string', 'table', 'buffer', 'collectgarbage', 'getfenv'} do try(_G[name]) end\n\
    pcall(function() local t = {} for i = 1, 100 do t[i] = string.rep('x', 1e6) .. i end end)\n\
    print('end')";

/// System calls that open, make or change a file, start a process or reach the network.
const OUTSIDE: &str = "trace=%file,%process,%network,write";

#[test]
fn an_attack_touches_no_file_no_process_and_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let (file, trace) = (folder.path().join("attack.lua"), folder.path().join("trace"));
    fs::write(&file, ATTACK).unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", OUTSIDE, "-o"]).arg(&trace).arg(program("letschat"));
    command.args(["--peer-port", "0", "--server", NOWHERE, "--data"]).arg(folder.path());
    command.arg("--script").arg(&file);
    let mut process = Running::start(&mut command);
    assert_eq!(process.exit_code(), 0, "{}", process.transcript());

    let calls = fs::read_to_string(&trace).unwrap();
    let said = |words: &str| {
        let found = calls.lines().position(|line| line.contains(&format!("\"{words}\\n\"")));
        found.unwrap_or_else(|| panic!("no {words} in\n{calls}"))
    };
    let between: Vec<&str> = calls.lines().take(said("end")).skip(said("begin") + 1).collect();
    assert_eq!(calls_in(&between), BTreeSet::new(), "{between:#?}");
    // The trace does see what the program itself opens.
    assert!(calls_in(&calls.lines().collect::<Vec<_>>()).contains("openat"));
}

/// The names of the calls, without those by which threads speak to each other.
fn calls_in(lines: &[&str]) -> BTreeSet<String> {
    let names = lines.iter().filter_map(|line| {
        let call = line.split_whitespace().nth(1)?;
        Some(call.split('(').next()?.to_owned())
    });
    names.filter(|name| !["write", "<..."].contains(&name.as_str())).collect()
}
