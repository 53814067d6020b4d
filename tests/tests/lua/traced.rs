//! The system calls of a script, as `strace` sees them.

use std::fs;
use std::process::Command;

use crate::run::NOWHERE;
use letschat_tests::programs::{Running, program, without_settings};

/// A script that tries everything that could reach outside. It also computes, prints and uses memory.
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

/// The system calls that access files, processes or the network: classes of `strace`, and names of calls in
/// none of them.
const OUTSIDE: &str = "trace=%file,%process,%network,%desc,ptrace,process_vm_readv,\
    process_vm_writev,io_uring_setup,io_uring_enter,bpf,mount,setns,unshare";

/// The calls by which a thread waits for other threads and for time.
const WAITING: &[&str] =
    &["epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "poll", "ppoll", "timerfd_settime"];

#[test]
fn an_attack_touches_no_file_no_process_and_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let (file, trace) = (folder.path().join("attack.lua"), folder.path().join("trace"));
    fs::write(&file, ATTACK).unwrap();
    let is_here = Command::new("strace").arg("-V").output().is_ok();
    assert!(is_here, "this test needs strace: `make check-tools` installs it or says how");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-e", OUTSIDE, "-o"]).arg(&trace).arg(program("letschat"));
    without_settings(&mut command);
    command.args(["--peer-port", "0", "--server", NOWHERE, "--data"]).arg(folder.path());
    command.arg("--script").arg(&file);
    let mut process = Running::start(&mut command);
    assert_eq!(process.exit_code(), 0, "{}", process.transcript());

    let calls = fs::read_to_string(&trace).unwrap();
    let lines: Vec<&str> = calls.lines().collect();
    let said = |words: &str| {
        let found = lines.iter().position(|line| line.contains(&format!("\"{words}\\n\"")));
        found.unwrap_or_else(|| panic!("no {words} in\n{calls}"))
    };
    // The client's other threads do their own work; the script has its own thread.
    let thread = lines[said("begin")].split_whitespace().next();
    let own = lines[said("begin") + 1..said("end")].iter();
    let own = own.filter(|line| line.split_whitespace().next() == thread);
    let touched: Vec<&str> = own.copied().filter(|line| !is_harmless(line)).collect();
    assert_eq!(touched, [""; 0], "{calls}");
    // The trace does show the files that the program itself opens and writes.
    for names in [&["openat"][..], &["write"], &["socket"], &["clone3", "clone"]] {
        let is_seen = lines.iter().any(|line| names.contains(&name_of(line)));
        assert!(is_seen, "none of {names:?} in\n{calls}");
    }
}

/// Returns the name of a call; empty if the line is only the end of one.
fn name_of(line: &str) -> &str {
    let call = line.split_whitespace().nth(1).unwrap_or_default();
    call.split_once('(').map_or("", |(name, _)| name)
}

/// Returns true if a call only waits, wakes another thread, or allocates memory.
fn is_harmless(line: &str) -> bool {
    match name_of(line) {
        "" => true,
        "read" | "write" => line.contains("<anon_inode:[eventfd]>"),
        "mmap" => line.contains("MAP_ANONYMOUS"),
        name => WAITING.contains(&name),
    }
}
