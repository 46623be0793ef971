//! A private OpenLDAP server, as `integration/slapd` starts it.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::real::installed;

/// A server that ends with the test.
pub(crate) struct Slapd {
    dir: PathBuf,
    known: HashMap<String, String>,
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/slapd"))
}

impl Slapd {
    /// Starts one; `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(&[])
    }

    /// One that takes a log-in without a password for one without a name.
    pub(crate) fn start_lax() -> Option<Self> {
        Self::start_as(&["lax"])
    }

    fn start_as(how: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !installed(&["slapd", "ldapadd", "openssl"]) {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-slapd-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let mut server = Self {
            dir,
            known: HashMap::new(),
        };
        let output = script().arg("start").arg(&server.dir).args(how).output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        server.known = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(server)
    }

    fn known(&self, name: &str) -> &str {
        &self.known[name]
    }

    /// `ldap://` and its port on this host.
    pub(crate) fn plain(&self, host: &str) -> String {
        format!("ldap://{host}:{}", port(self.known("LDAP")))
    }

    /// `ldaps://` and its port on this host.
    pub(crate) fn tls(&self, host: &str) -> String {
        format!("ldaps://{host}:{}", port(self.known("LDAPS")))
    }

    /// Where the authority's certificate is.
    pub(crate) fn ca(&self) -> &str {
        self.known("CA")
    }

    /// Where its own certificate, or the key of that, is.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Changes entries, as the root of the directory.
    #[track_caller]
    pub(crate) fn change(&self, ldif: &str) {
        let mut command = Command::new("ldapmodify");
        command.args(["-x", "-D", "cn=root,dc=example,dc=org", "-w", "root-secret"]);
        command.args(["-e", "relax", "-H", &self.plain("127.0.0.1")]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(ldif.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Stops it; [`Self::again`] starts it on the same ports.
    pub(crate) fn stop(&self) {
        let stopped = script().arg("stop").arg(&self.dir).status();
        assert!(stopped.unwrap().success());
    }

    /// Starts it on the ports that it had, with the entries that it had.
    pub(crate) fn again(&self) {
        let again = script().arg("again").arg(&self.dir).output().unwrap();
        assert!(
            again.status.success(),
            "{}",
            String::from_utf8_lossy(&again.stderr)
        );
    }
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(&self.dir).status();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
