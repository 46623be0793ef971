//! The memory that a contestant keeps for sessions which are silent.
//! It must not count what was there before the sessions, nor leave them open.

use crate::{
    contestant::{Contestant, pause},
    dial, gauge, hosts,
    settings::Stage,
    table::{self, Idle},
};
use std::time::Duration;
use tokio::time::timeout;

/// How long opening the idle sessions may take.
const MOST_FOR_IDLE: Duration = Duration::from_secs(15);

/// Memory for each idle session, of a contestant started afresh.
pub(crate) fn compare(contestants: &[Contestant], stage: &Stage, sessions: usize) -> String {
    let mut rows = Vec::new();
    for contestant in contestants.iter().filter(|c| c.name != "direct") {
        match held(contestant, stage, sessions) {
            Ok((before, after)) => rows.push(Idle {
                name: contestant.name.clone(),
                peer: contestant.is_peer(),
                each: (after as f64 - before as f64) / sessions as f64,
                total: after,
            }),
            Err(problem) => eprintln!(
                "peers: idle sessions, {} is left out: {problem}",
                contestant.name
            ),
        }
    }
    table::idle(sessions, &rows)
}

/// The memory before and while the sessions are held; sixteen have been before, to fill what fills once.
fn held(contestant: &Contestant, stage: &Stage, sessions: usize) -> Result<(u64, u64), String> {
    let running = contestant.start(stage)?;
    let runtime = hosts::runtime().map_err(|e| e.to_string())?;
    let open = |count| {
        let held = runtime
            .block_on(async { timeout(MOST_FOR_IDLE, dial::idle(running.address, count)).await });
        held.map_err(|_| "the sessions took too long to open")?
            .map_err(|e| e.to_string())
    };
    drop(open(16)?);
    pause(Duration::from_millis(300));
    let before = gauge::memory(&running.family()).ok_or("its memory cannot be read")?;
    let streams = open(sessions)?;
    pause(Duration::from_secs(1));
    let after = gauge::memory(&running.family()).ok_or("its memory cannot be read")?;
    drop(streams);
    Ok((before, after))
}
