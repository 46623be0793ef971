//! Any bytes as a command.
//! It must not carry one out; only see that what was read is written, and read again, the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::model::command::Request;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice(bytes) else {
        return;
    };
    let Ok(request) = Request::from_json(value) else {
        return;
    };
    let written = request.to_json();
    match Request::from_json(written.clone()) {
        Ok(again) => assert_eq!(again, request, "by way of {written}"),
        Err(error) => panic!("{error:?} in {written}"),
    }
});
