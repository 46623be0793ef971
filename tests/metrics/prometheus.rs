//! A real Prometheus: it finds nothing to complain of, reads a node, and its alerts go off.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    eventually,
    node::Node,
    page,
    papers::{file, queries},
    real::installed,
    support::echo,
};

/// `promtool` with something on standard input; what it says, when it is content.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// A Prometheus of the test's own. It ends with it.
struct Prometheus {
    child: Child,
    folder: PathBuf,
}

impl Prometheus {
    /// One that reads `targets` five times a second, and goes by the rules of ours, with none of
    /// their waiting times.
    fn start(folder: PathBuf, targets: &[SocketAddr]) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let rules = file("config/prometheus/alerts.yml");
        let rules = rules
            .lines()
            .filter(|line| !line.trim().starts_with("for:"));
        fs::write(
            folder.join("alerts.yml"),
            rules.collect::<Vec<_>>().join("\n"),
        )
        .unwrap();
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let config = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }}\n\
             rule_files: [alerts.yml]\n\
             scrape_configs:\n  - job_name: pointsman\n    static_configs:\n      - targets: {targets:?}\n"
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=info"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self {
            child: child.unwrap(),
            folder,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Where it listens, once it does.
    fn address(&self) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("Listening on"))?;
        let (_, address) = line.split_once("address=")?;
        address.split_whitespace().next()?.parse().ok()
    }

    /// The data of an answer of its API, when it gives one.
    fn ask(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.address()?).ok()?;
        let request = format!("GET /api/v1/{path} HTTP/1.0\r\nHost: prometheus\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        let answer: Value = serde_json::from_str(body).ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// The rules, as it evaluates them.
    fn rules(&self) -> Vec<Value> {
        let data = self.ask("rules").unwrap_or_default();
        let rules = &data["groups"][0]["rules"];
        rules.as_array().cloned().unwrap_or_default()
    }

    /// The names of the alerts that go off, with one of their labels.
    fn firing(&self, label: &str) -> Vec<(String, String)> {
        let data = self.ask("alerts").unwrap_or_default();
        let alerts = data["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pair = |alert: &Value| {
            let labels = &alert["labels"];
            (text(&labels["alertname"]), text(&labels[label]))
        };
        firing.map(pair).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_figures_and_rules() {
    if !installed(&["promtool"]) {
        return;
    }
    let node = Node::start(&page::config(&[echo().await], "")).await;
    let said = promtool(
        &["check", "metrics"],
        &page::text(page::address(&node).await),
    );
    assert_eq!(said, "");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/config/prometheus/alerts.yml");
    let said = promtool(&["check", "rules", rules], "");
    assert!(said.contains("SUCCESS: 15 rules found"), "{said}");
}

#[tokio::test]
async fn a_prometheus_reads_a_node_and_its_alerts_go_off_when_a_host_dies() {
    if !installed(&["prometheus"]) {
        return;
    }
    let mut dying = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .map(Some)
        .unwrap();
    let hosts = [echo().await, dying.as_ref().unwrap().local_addr().unwrap()];
    let probe = "\n[service.group.probe]\nkind = \"tcp\"\ninterval = \"100ms\"\ntimeout = \"100ms\"\nrise = 1\nfall = 1\n";
    let node = Node::start(&page::config(&hosts, probe)).await;
    let prometheus = Prometheus::start(
        node.folder.join("prometheus"),
        &[page::address(&node).await],
    );
    eventually!(
        prometheus
            .ask("targets")
            .is_some_and(|targets| { targets["activeTargets"][0]["health"] == "up" })
    );
    eventually!(
        prometheus.rules().len() == 15
            && prometheus.rules().iter().all(|rule| rule["health"] == "ok")
    );
    // There is no broker at the other end of the bus.
    eventually!(
        prometheus.firing("job") == [("PointsmanBusDown".to_owned(), "pointsman".to_owned())]
    );
    for query in queries() {
        let path = format!("query?query={}", percent_encoded(&query));
        assert!(prometheus.ask(&path).is_some(), "{query}");
    }
    dying.take();
    let down = ("PointsmanHostDown".to_owned(), "w2".to_owned());
    eventually!(prometheus.firing("host").contains(&down));
    assert_eq!(prometheus.firing("host").len(), 2, "and no other");
    let health = prometheus
        .rules()
        .into_iter()
        .map(|rule| rule["health"].clone());
    assert!(
        health.into_iter().all(|health| health == "ok"),
        "{}",
        prometheus.log()
    );
}

fn percent_encoded(text: &str) -> String {
    let bytes = text.bytes();
    bytes
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
