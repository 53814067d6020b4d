#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| letschat_fuzz_bodies::file_links::file_lines(bytes));
