//! Programs: how they end, and that nothing of them stays.

use std::{fs, os::fd::AsRawFd};

use super::{contract::Folder, *};

fn ask(script: &str) -> Outcome {
    let alone = alone();
    alone.ask(exec(), &shell(script), "10.0.0.1:7001".parse().unwrap())
}

#[test]
fn how_a_program_ends_decides() {
    for (script, verdict, reason) in [
        (
            "echo all is well",
            Verdict::Passed,
            "check exited with 0: all is well",
        ),
        ("true", Verdict::Passed, "check exited with 0"),
        (
            "echo; echo '  no space'; exit 3",
            Verdict::Failed,
            "check exited with 3: no space",
        ),
        (
            "echo oops >&2; exit 1",
            Verdict::Failed,
            "check exited with 1: oops",
        ),
        (
            "kill -TERM $$",
            Verdict::Failed,
            "check was ended by signal 15",
        ),
        (
            "exec yes",
            Verdict::Failed,
            "check wrote more than 65536 bytes",
        ),
    ] {
        came_to(&ask(script), verdict, reason);
    }
}

#[test]
fn a_program_that_cannot_be_run_is_not_held_against_the_host() {
    let alone = alone();
    let mut means = shell("true");
    for program in means.programs.values_mut() {
        program.file = PathBuf::from("/nowhere/check");
    }
    let outcome = alone.ask(exec(), &means, "10.0.0.1:7001".parse().unwrap());
    came_to(
        &outcome,
        Verdict::NotAsked,
        "check cannot be run: /nowhere/check: No such file",
    );
}

#[test]
fn a_program_has_the_environment_that_is_documented_and_no_other() {
    let wanted = "POINTSMAN_ADDRESS=10.0.0.1 POINTSMAN_GROUP=blue POINTSMAN_HOST=w1 \
                  POINTSMAN_PORT=7001 POINTSMAN_SERVICE=web";
    let outcome = ask("env | grep -v -e ^PWD= -e ^PATH= -e ^_= -e ^SHLVL= | sort | xargs");
    came_to(&outcome, Verdict::Passed, wanted);
    assert!(outcome.reason.ends_with(wanted), "{}", outcome.reason);
    came_to(
        &ask("pwd; read line || exit 0; exit 1"),
        Verdict::Passed,
        ": /",
    );
}

#[test]
fn a_program_has_none_of_our_descriptors() {
    let folder = Folder::new("descriptors");
    let file = fs::File::create(folder.join("secret")).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let outcome = ask("echo , $(ls /proc/$$/fd) ,");
    came_to(&outcome, Verdict::Passed, ", 0 1 ");
    for ours in [file.as_raw_fd(), socket.as_raw_fd()] {
        assert!(
            !outcome.reason.contains(&format!(" {ours} ")),
            "{outcome:?}"
        );
    }
}

/// The process is gone, or dead and only not waited for by whoever inherited it.
fn is_gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().unwrap().trim().starts_with('Z'),
        Err(_) => true,
    }
}

/// What the script wrote to `$0`: the numbers of the processes that it started.
fn pids(folder: &Folder) -> Vec<String> {
    let text = fs::read_to_string(folder.join("pids")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Starts a child and a grandchild that outlive it, and writes down who they are.
fn family(folder: &Folder, then: &str) -> String {
    let file = folder.join("pids").display().to_string();
    format!(
        "sleep 600 & echo $! >> {file}; (sleep 601 & echo $! >> {file}; sleep 602) & \
         while [ $(cat {file} | wc -l) -lt 2 ]; do sleep 0.01; done; echo $$ >> {file}; {then}"
    )
}

#[test]
fn at_the_timeout_a_program_is_killed_with_all_its_children() {
    let alone = alone();
    let folder = Folder::new("timeout");
    let mut means = shell(&family(&folder, "wait"));
    for program in means.programs.values_mut() {
        program.timeout = Duration::from_secs(1);
    }
    let outcome = alone.ask(exec(), &means, "10.0.0.1:7001".parse().unwrap());
    came_to(
        &outcome,
        Verdict::Failed,
        "check did not end in time and was killed",
    );
    let pids = pids(&folder);
    assert_eq!(pids.len(), 3, "{pids:?}");
    eventually("all are gone", || pids.iter().all(|pid| is_gone(pid)));
}

#[test]
fn the_children_of_a_program_that_ended_are_killed() {
    let folder = Folder::new("ended");
    came_to(&ask(&family(&folder, "echo done")), Verdict::Passed, "done");
    let pids = pids(&folder);
    assert_eq!(pids.len(), 3, "{pids:?}");
    eventually("all are gone", || pids.iter().all(|pid| is_gone(pid)));
}

#[test]
fn a_probe_that_is_dropped_kills_its_program_with_all_its_children() {
    let alone = alone();
    let folder = Folder::new("dropped");
    let prober = prober(exec(), &shell(&family(&folder, "wait"))).unwrap();
    let target = target("10.0.0.1:7001".parse().unwrap());
    alone.runtime.block_on(async {
        tokio::select! {
            outcome = prober.ask(&target, at(&target)) => panic!("{outcome:?}"),
            () = async {
                while pids(&folder).len() < 3 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            } => {}
        }
    });
    let pids = pids(&folder);
    eventually("all are gone", || pids.iter().all(|pid| is_gone(pid)));
}

#[test]
fn only_so_many_programs_run_at_once() {
    use pointsman::health::MAX_PROGRAMS;
    let alone = alone();
    let prober = prober(exec(), &shell("sleep 20")).unwrap();
    let quick = super::prober(exec(), &shell("true")).unwrap();
    let target = target("10.0.0.1:7001".parse().unwrap());
    let mut keys = exec();
    keys["timeout"] = json!("200ms");
    drop((prober, quick));
    let means = shell("sleep 20");
    let (long, short) = (
        super::prober(exec(), &means).unwrap(),
        super::prober(keys, &means).unwrap(),
    );
    alone.runtime.block_on(async {
        let mut running: Vec<_> = (0..MAX_PROGRAMS)
            .map(|_| Box::pin(long.ask(&target, at(&target))))
            .collect();
        for ask in &mut running {
            let soon = Duration::from_millis(1);
            assert!(tokio::time::timeout(soon, ask).await.is_err());
        }
        let outcome = short.ask(&target, at(&target)).await;
        came_to(
            &outcome,
            Verdict::NotAsked,
            "32 other programs were running",
        );
        running.pop();
        let outcome = short.ask(&target, at(&target)).await;
        came_to(&outcome, Verdict::Failed, "did not end in time");
    });
}
