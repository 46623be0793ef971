//! Reading figures from a node as Prometheus reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::{
    eventually,
    node::{Node, user},
    support::service,
};

/// A page of figures, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Each name with its type.
    pub(crate) types: BTreeMap<String, String>,
    /// Each name with the labels that its figures have.
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
    /// Each line with its value.
    pub(crate) lines: BTreeMap<String, f64>,
}

/// The configuration of a node on which there is something to say of everything.
pub(crate) fn config(hosts: &[SocketAddr], more: &str) -> String {
    let settings = "[node]\nname = \"lb1\"\nthreads = 1\ndrain_timeout = \"0s\"\n\
        [metrics]\nlisten = \"127.0.0.1:0\"\n\
        [bus]\nbrokers = [\"stomp://127.0.0.1:1\"]\n";
    let admin = user("ada", "role = \"admin\"");
    format!("{settings}{admin}") + &service("web", &["127.0.0.1:0"], hosts, "") + more
}

/// Where a node shows its figures, since it was last told to.
pub(crate) async fn address(node: &Node) -> SocketAddr {
    eventually!(node.log().contains("figures can be read"));
    let log = node.log();
    let mut lines = log.lines().rev();
    let line = lines.find(|line| line.contains("figures can be read"));
    let (_, address) = line.unwrap().split_once("address=").unwrap();
    address.trim().parse().unwrap()
}

/// What is answered at a path: the head, and the body.
pub(crate) fn fetch(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: lb1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The figures as text.
pub(crate) fn text(address: SocketAddr) -> String {
    let (head, body) = fetch(address, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body
}

/// The figures.
pub(crate) fn read(address: SocketAddr) -> Page {
    let mut page = Page::default();
    for line in text(address).lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            page.types.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            page.take(line);
        }
    }
    page
}

impl Page {
    fn take(&mut self, line: &str) {
        let (figure, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let again = self.lines.insert(figure.to_owned(), value);
        assert!(again.is_none(), "twice: {line}");
        let (name, labels) = figure.split_once('{').unwrap_or((figure, "}"));
        let name = self.family(name);
        let keys = labels.trim_end_matches('}').split(',');
        let keys = keys.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        self.labels
            .entry(name)
            .or_default()
            .extend(keys.filter(|key| key != "le"));
    }

    /// The name that a figure belongs to: a histogram has several.
    pub(crate) fn family(&self, name: &str) -> String {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().filter_map(|part| name.strip_suffix(part));
        let mut whole = whole.filter(|whole| {
            self.types
                .get(*whole)
                .is_some_and(|kind| kind == "histogram")
        });
        whole.next().unwrap_or(name).to_owned()
    }

    /// One figure, which is there.
    pub(crate) fn value(&self, figure: &str) -> f64 {
        *self
            .lines
            .get(figure)
            .unwrap_or_else(|| panic!("no {figure} in {:#?}", self.lines))
    }
}
