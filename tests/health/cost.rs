//! What probing costs: 1,000 hosts every two seconds, in processor time of the program.
//!
//! `cargo test --release --test health -- --ignored --nocapture cost`
#![cfg(feature = "server")]

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::sleep;

const HOSTS: usize = 1000;
const SPAN: Duration = Duration::from_secs(20);

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time of a process so far, in hundredths of a second, the kernel's for it included.
fn used(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The share of one processor that the program takes with this in the group, in percent.
async fn share(port: u16, more: &str) -> f64 {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cost-{port}"));
    fs::create_dir_all(&folder).unwrap();
    let mut text = format!(
        "[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:0\"]\n\n[[service.group]]\nname = \"blue\"\n{more}\n"
    );
    for index in 0..HOSTS {
        let (high, low) = (index / 250, index % 250 + 1);
        text += &format!(
            "[[service.group.host]]\nname = \"w{index}\"\naddress = \"127.1.{high}.{low}:{port}\"\n"
        );
    }
    fs::write(folder.join("pointsman.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let command = command.args(["run", "pointsman.toml"]).current_dir(&folder);
    let program = Program(command.stderr(Stdio::null()).spawn().unwrap());
    // The first round, in which all hosts come up and say so, is not what it costs.
    sleep(Duration::from_secs(6)).await;
    let before = used(program.0.id());
    sleep(SPAN).await;
    let after = used(program.0.id());
    drop(program);
    fs::remove_dir_all(&folder).unwrap();
    (after - before) as f64 / SPAN.as_secs_f64()
}

#[tokio::test]
#[ignore = "takes a minute, and measures; see the first lines"]
async fn cost_of_a_thousand_hosts_probed_every_two_seconds() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&accepted);
    std::thread::spawn(move || {
        while listener.accept().is_ok() {
            counted.fetch_add(1, SeqCst);
        }
    });
    let idle = share(port, "").await;
    let before = accepted.load(SeqCst);
    let probing = share(port, "probe = { kind = \"tcp\", interval = \"2s\" }").await;
    let probes = accepted.load(SeqCst) - before;
    println!("idle {idle:.2} %, probing {probing:.2} % of one processor; {probes} probes");
    assert!(probes >= 10 * HOSTS as u32);
    let each = (probing - idle) * 10_000.0 / (HOSTS as f64 / 2.0);
    println!("{each:.1} µs for each probe");
    let most = if cfg!(debug_assertions) { 20.0 } else { 10.0 };
    assert!(probing - idle < most, "more than {most} % of a processor");
}
