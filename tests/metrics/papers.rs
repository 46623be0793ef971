//! What stands in documents, alert rules and the dashboard, against what a node shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use crate::{
    node::Node,
    page::{self, Page},
    support::nobody,
};

pub(crate) fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The rows of the tables whose first column is called `first`, as cells without backticks.
fn rows(text: &str, first: &str) -> Vec<Vec<String>> {
    let head = format!("| {first} |");
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(&head) {
            let table = lines.by_ref().skip(1);
            for row in table.take_while(|line| line.starts_with('|')) {
                let cells: Vec<_> = row
                    .split('|')
                    .map(|cell| cell.trim().replace('`', ""))
                    .collect();
                found.push(cells[1..cells.len() - 1].to_vec());
            }
        }
    }
    found
}

async fn figures() -> Page {
    let node = Node::start(&page::config(&[nobody().await], "")).await;
    page::read(page::address(&node).await)
}

#[tokio::test]
async fn the_document_lists_every_metric_with_its_type_and_labels_and_no_other() {
    let shown = figures().await;
    let shown: BTreeMap<_, _> = shown
        .types
        .iter()
        .map(|(name, kind)| {
            let labels = shown.labels.get(name);
            let labels = labels.unwrap_or_else(|| panic!("{name} has no figure"));
            (name.clone(), (kind.clone(), labels.clone()))
        })
        .collect();
    let text = file("docs/metrics.md");
    let documented: BTreeMap<_, _> = rows(&text, "metric")
        .into_iter()
        .map(|row| {
            let labels = row[2].split(", ").filter(|label| !label.is_empty());
            let labels: BTreeSet<_> = labels.map(str::to_owned).collect();
            (row[0].clone(), (row[1].clone(), labels))
        })
        .collect();
    assert!(shown.len() > 35, "{}", shown.len());
    assert_eq!(documented, shown);
}

#[tokio::test]
async fn every_reason_and_no_other_is_explained() {
    let shown = figures().await;
    let start = "pointsman_service_refused_total{service=\"web\",reason=\"";
    let figures = shown.lines.keys();
    let reasons: BTreeSet<_> = figures
        .filter_map(|figure| {
            Some(
                figure
                    .strip_prefix(start)?
                    .trim_end_matches("\"}")
                    .to_owned(),
            )
        })
        .collect();
    assert!(reasons.len() >= 13, "{reasons:?}");
    let explained = rows(&file("docs/metrics.md"), "reason").into_iter();
    assert_eq!(
        explained.map(|row| row[0].clone()).collect::<BTreeSet<_>>(),
        reasons
    );
}

#[test]
fn every_alert_is_explained_with_its_severity() {
    let explained = rows(&file("docs/metrics.md"), "alert").into_iter();
    let explained: BTreeMap<_, _> = explained
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let rules = file("config/prometheus/alerts.yml");
    let alerts = rules.split("- alert: ").skip(1).map(|rule| {
        let (_, severity) = rule.split_once("severity: ").unwrap();
        let word = |text: &str| text.split([' ', '\n']).next().unwrap().to_owned();
        (word(rule), word(severity))
    });
    let alerts: BTreeMap<_, _> = alerts.collect();
    assert_eq!(alerts.len(), 15);
    assert_eq!(explained, alerts);
}

/// The queries of the dashboard, with its variables filled in.
pub(crate) fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("config/grafana/pointsman.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let filled = |target: &Value| {
        let query = target["expr"]
            .as_str()
            .unwrap()
            .replace("$__rate_interval", "5m");
        let query = query.replace("$instance", ".*").replace("$service", ".*");
        assert!(!query.contains('$'), "{query}");
        query
    };
    targets.map(filled).collect()
}

/// The names of ours in a query.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("pointsman_") || word.starts_with("process_"))
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let shown = figures().await;
    let mut asked = queries();
    assert!(asked.len() > 25, "{}", asked.len());
    let rules = file("config/prometheus/alerts.yml");
    let rules = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', '-']));
    asked.extend(rules.map(str::to_owned));
    let mut count = 0;
    for name in asked.iter().flat_map(|query| names(query)) {
        count += 1;
        assert!(shown.types.contains_key(&shown.family(name)), "{name}");
    }
    assert!(count > 45, "{count}");
}
