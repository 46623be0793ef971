//! Certificates for tests, made by openssl.
//! It must not know who shows them, or to whom.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The files of a certificate and of its key, as PEM.
pub type Files = (PathBuf, PathBuf);

/// Makes a certificate for `names` that ends in `days` and for which nobody else vouches. Like the
/// others here: `None`, with a line that says so, where there is no openssl and none is demanded.
pub fn certificate(folder: &Path, file: &str, names: &str, days: u32) -> Option<Files> {
    make(folder, file, days, &of(names))
}

/// The same, for which `authority` vouches.
pub fn vouched_for(folder: &Path, file: &str, names: &str, authority: &Files) -> Option<Files> {
    let by = [&authority.0, &authority.1].map(|path| path.to_str().unwrap().to_owned());
    let [certificate, key] = by;
    let mut more = of(names);
    more.extend(["-CA".to_owned(), certificate, "-CAkey".to_owned(), key]);
    make(folder, file, 2, &more)
}

/// Makes the certificate of an authority that vouches for others.
pub fn authority(folder: &Path, file: &str) -> Option<Files> {
    let more = ["-addext", "basicConstraints=critical,CA:TRUE"].map(str::to_owned);
    make(folder, file, 2, &more)
}

/// What a certificate for `names` says, and that it vouches for nobody.
fn of(names: &str) -> Vec<String> {
    let names = format!("subjectAltName={names}");
    let alone = "basicConstraints=critical,CA:FALSE";
    ["-addext", &names, "-addext", alone]
        .map(str::to_owned)
        .into()
}

fn make(folder: &Path, file: &str, days: u32, more: &[String]) -> Option<Files> {
    let files = (
        folder.join(format!("{file}.pem")),
        folder.join(format!("{file}.key")),
    );
    let output = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '))
        .args(["-subj", &format!("/CN={file}"), "-days", &days.to_string()])
        .args(more)
        .arg("-keyout")
        .arg(&files.1)
        .arg("-out")
        .arg(&files.0)
        .output();
    let Ok(output) = output else {
        let demanded = std::env::var_os("REQUIRE_REAL").is_some_and(|value| value == "1");
        assert!(
            !demanded,
            "there is no openssl; integration/setup installs it"
        );
        println!("skipped: there is no openssl; integration/setup installs it");
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(files)
}
