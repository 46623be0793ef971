//! Any bytes as a header of the PROXY protocol.
//! It must only see that reading them never fails badly, and is the same whole and cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::proxy::announce::parse;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((length, announced))) = parse(bytes) else {
        return;
    };
    assert!(length <= bytes.len());
    assert_eq!(parse(&bytes[..length]), Ok(Some((length, announced))));
    assert_eq!(parse(&bytes[..length - 1]), Ok(None));
});
