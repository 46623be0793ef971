//! What is measured: a balancer with one service, one host and one data thread.
//! It must not do anything besides: no client, no host, no output after its address.

use std::io::{self, Read, Write};

use pointsman::{control::Balancer, model::topology::Topology, proxy::threads::DataThreads};
use serde_json::json;

/// Runs until standard input ends; prints the address that it listens on.
pub(crate) fn run(host: &str, features: bool) -> Result<(), String> {
    let data = DataThreads::start(1, false).map_err(|e| e.to_string())?;
    // There are no probes.
    let probes = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let topology = topology(host, features).map_err(|e| e.to_string())?;
    let balancer = Balancer::start_on(data.lanes(), u32::MAX, probes.handle(), topology)
        .map_err(|e| e.to_string())?;
    let status = balancer.status();
    let listen = status.services.first().and_then(|s| s.listen.first());
    let address = listen.ok_or("it listens nowhere")?;
    let mut out = io::stdout();
    writeln!(out, "{address}")
        .and_then(|()| out.flush())
        .map_err(|e| e.to_string())?;
    // Ends when the one who started it lets go.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

/// One service. With `features`, all that may happen to a connection at the edge happens.
fn topology(host: &str, features: bool) -> serde_json::Result<Topology> {
    let mut service = json!({
        "name": "web",
        "listen": ["127.0.0.1:0"],
        // A connection is seen when its question has come, and not now so, now before.
        "tcp": { "defer_accept": "10s" },
        "group": [{ "name": "blue", "host": [{ "name": "w1", "address": host }] }],
    });
    if features {
        let more = json!({
            "access": ["allow 127.0.0.0/8", "deny all"],
            "limits": {
                "sessions": 1000,
                "per_client": 1000,
                "rate": { "per_second": 1_000_000 },
                "rate_per_client": { "per_second": 1_000_000 },
            },
            "queue": { "length": 100 },
            "proxy_protocol": { "accept_from": ["127.0.0.0/8"] },
            "tcp": { "defer_accept": "10s", "keepalive": "1m", "user_timeout": "30s" },
        });
        if let (Some(service), Some(more)) = (service.as_object_mut(), more.as_object()) {
            service.extend(more.clone());
        }
        let group = &mut service["group"][0];
        group["send_proxy"] = json!("v2");
        group["sticky"] = json!({});
        group["outlier"] = json!({ "failures": 5 });
        group["host"][0]["max_sessions"] = json!(1000);
    }
    serde_json::from_value(json!({ "service": [service] }))
}
