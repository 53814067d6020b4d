#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| letschat_fuzz_bodies::rosters::roster(bytes));
