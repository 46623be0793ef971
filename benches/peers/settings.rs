//! What each contestant is told: its best settings for plain TCP, with no log.
//! It must not give one contestant a protection less, or a connection more, than another.

use std::{
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// What every contestant is given.
#[derive(Clone)]
pub(crate) struct Stage {
    /// Where everything is written.
    pub(crate) folder: PathBuf,
    /// The hosts to balance over.
    pub(crate) hosts: Vec<SocketAddr>,
    /// As many threads or workers as the machine has cores; one for those whose name ends so.
    pub(crate) threads: usize,
    /// As many sessions as files allow, at two a session.
    pub(crate) sessions: usize,
}

/// Writes the settings and gives the command that starts the contestant, in the foreground.
pub(crate) fn command(name: &str, program: &Path, stage: &Stage, port: u16) -> io::Result<Command> {
    let mut command = Command::new(program);
    let file = stage.folder.join(format!("{name}.conf"));
    match name.split_once('-').map_or(name, |(kind, _)| kind) {
        "haproxy" => {
            fs::write(&file, haproxy(name, stage, port))?;
            command.arg("-db").arg("-f").arg(&file);
        }
        "nginx" => {
            fs::write(&file, nginx(name, stage, port))?;
            command
                .arg("-e")
                .arg("stderr")
                .arg("-p")
                .arg(&stage.folder)
                .arg("-c")
                .arg(&file);
        }
        "pen" => {
            let most = stage.sessions.to_string();
            let servers = (stage.hosts.len() + 1).to_string();
            command.args([
                "-f", "-r", "-q", "4096", "-m", "64", "-x", &most, "-c", &most, "-S", &servers,
            ]);
            command.args(["-O", "epoll", "-O", "tcp_nodelay"]);
            command.arg(format!("127.0.0.1:{port}"));
            command.args(
                stage
                    .hosts
                    .iter()
                    .map(|host| format!("{host}:{most}:{most}")),
            );
        }
        "sozu" => {
            fs::write(&file, sozu(name, stage, port))?;
            command.args(["start", "--config"]).arg(&file);
        }
        "bare" => {
            command.args(["bare", &threads(name, stage).to_string(), &port.to_string()]);
            command.args(stage.hosts.iter().map(SocketAddr::to_string));
        }
        "other" => {
            command.arg(port.to_string());
            command.args(stage.hosts.iter().map(SocketAddr::to_string));
        }
        _ => {
            fs::write(&file, pointsman(name, stage, port))?;
            command.arg("run").arg(&file);
        }
    }
    Ok(command)
}

fn threads(name: &str, stage: &Stage) -> usize {
    if name.ends_with("-1") {
        1
    } else {
        stage.threads
    }
}

fn lines(hosts: &[SocketAddr], line: impl Fn(usize, &SocketAddr) -> String) -> String {
    hosts
        .iter()
        .enumerate()
        .fold(String::new(), |mut text, (index, host)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", line(index + 1, host));
            text
        })
}

fn haproxy(name: &str, stage: &Stage, port: u16) -> String {
    let (threads, sessions) = (threads(name, stage), stage.sessions);
    let splice = if name.ends_with("splice") {
        "option splice-auto"
    } else {
        ""
    };
    // By itself it would keep files for a pipe for every fourth session, more than may be open.
    let pipes = if splice.is_empty() {
        ""
    } else {
        "maxpipes 256"
    };
    let buffers = if name.ends_with("64k") {
        "tune.bufsize 65536"
    } else {
        ""
    };
    let hosts = lines(&stage.hosts, |n, host| format!("    server w{n} {host}"));
    format!(
        "global
    nbthread {threads}
    maxconn {sessions}
    {buffers}
    {pipes}
defaults
    mode tcp
    maxconn {sessions}
    backlog 4096
    option tcp-smart-accept
    option tcp-smart-connect
    {splice}
    timeout connect 3s
    timeout client 10m
    timeout server 10m
listen web
    bind 127.0.0.1:{port}
    balance roundrobin
{hosts}"
    )
}

/// Where nginx has its stream module as a file of its own, `run` says so.
fn nginx(name: &str, stage: &Stage, port: u16) -> String {
    let module = std::env::var("PEERS_NGINX_MODULE").unwrap_or_default();
    let module = if module.is_empty() {
        module
    } else {
        format!("load_module {module};")
    };
    let (threads, sessions) = (threads(name, stage), stage.sessions);
    let pid = stage.folder.join(format!("{name}.pid"));
    let buffers = if name.ends_with("64k") {
        "proxy_buffer_size 64k;"
    } else {
        ""
    };
    let hosts = lines(&stage.hosts, |_, host| format!("        server {host};"));
    format!(
        "{module}
daemon off;
worker_processes {threads};
pid {};
error_log stderr error;
events {{ worker_connections {}; multi_accept on; }}
stream {{
    access_log off;
    proxy_connect_timeout 3s;
    proxy_timeout 10m;
    {buffers}
    upstream web {{
{hosts}    }}
    server {{ listen 127.0.0.1:{port} reuseport backlog=4096; proxy_pass web; }}
}}
",
        pid.display(),
        2 * sessions
    )
}

/// Its listener is one socket that all workers share; it has no option for the backlog.
fn sozu(name: &str, stage: &Stage, port: u16) -> String {
    let Stage {
        threads, sessions, ..
    } = stage;
    let socket = stage.folder.join(format!("{name}-{port}.sock"));
    let hosts = lines(&stage.hosts, |_, host| {
        format!("    {{ address = \"{host}\" }},")
    });
    format!(
        "command_socket = \"{}\"
log_level = \"error\"
log_target = \"stdout\"
worker_count = {threads}
max_connections = {sessions}
max_buffers = {}
splice_pipe_capacity_bytes = 262144
disable_cluster_metrics = true
connect_timeout = 3
front_timeout = 600
back_timeout = 600

[[listeners]]
protocol = \"tcp\"
address = \"127.0.0.1:{port}\"

[clusters.web]
protocol = \"tcp\"
load_balancing = \"ROUND_ROBIN\"
frontends = [{{ address = \"127.0.0.1:{port}\" }}]
backends = [
{hosts}]
",
        socket.display(),
        2 * sessions
    )
}

/// Where a Pointsman of that name takes commands.
pub(crate) fn socket(name: &str, stage: &Stage, port: u16) -> PathBuf {
    state(name, stage, port).join("admin.sock")
}

/// No two nodes share one.
fn state(name: &str, stage: &Stage, port: u16) -> PathBuf {
    stage.folder.join(format!("{name}-{port}.state"))
}

/// What its name ends with says what is different; nothing, and all is as in the others.
fn pointsman(name: &str, stage: &Stage, port: u16) -> String {
    let (threads, sessions) = (threads(name, stage), stage.sessions);
    let state = state(name, stage, port);
    let state = state.display();
    let hosts = lines(&stage.hosts, |n, host| {
        format!("    [[service.group.host]]\n    name = \"w{n}\"\n    address = \"{host}\"")
    });
    // Port 1 refuses.
    let bus = if name.ends_with("-brokerless") {
        "[bus]\nbrokers = [\"stomp://127.0.0.1:1\"]"
    } else {
        ""
    };
    let ending = name.strip_prefix("pointsman-").unwrap_or_default();
    let scheduler = match ending {
        "" | "1" | "before" | "undisturbed" | "changing" | "brokerless" | "silent" | "logging" => {
            "round-robin"
        }
        scheduler => scheduler,
    };
    let access_log = ending == "logging";
    format!(
        "[node]
name = \"bench\"
state_dir = \"{state}\"
threads = {threads}
drain_timeout = \"1s\"
access_log = {access_log}
{bus}

[[service]]
name = \"web\"
listen = [\"127.0.0.1:{port}\"]
timeouts = {{ connect = \"3s\", idle = \"10m\" }}
limits = {{ sessions = {sessions} }}

  [[service.group]]
  name = \"all\"
  scheduler = \"{scheduler}\"

{hosts}"
    )
}
