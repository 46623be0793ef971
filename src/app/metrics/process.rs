//! The figures of this process, from what the kernel says of it.
//! It must not fail: what cannot be read is left out.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::text::{Kind, Page};

/// Fields of `/proc/self/stat` after the name, counted from 0 (proc(5): those from the third on).
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const THREADS: usize = 17;
const STARTED: usize = 19;
const VIRTUAL: usize = 20;
const RESIDENT: usize = 21;

/// Writes what is known of the process, under the names that all programs have for it.
pub(super) fn write(page: &mut Page) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = numbers(&stat);
    let field = |index: usize| fields.get(index).copied();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let cpu = field(USER_TICKS).zip(field(SYSTEM_TICKS));
    let booted = fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|text| boot_time(&text));
    let rows = [
        (
            "process_cpu_seconds_total",
            Kind::Counter,
            "Processor time, user and system.",
            cpu.map(|(user, system)| (user + system) / ticks),
        ),
        (
            "process_start_time_seconds",
            Kind::Gauge,
            "When the process started, since 1970.",
            field(STARTED)
                .zip(booted)
                .map(|(started, booted)| booted + started / ticks),
        ),
        (
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Memory that it occupies.",
            field(RESIDENT).map(|pages| pages * rustix::param::page_size() as f64),
        ),
        (
            "process_virtual_memory_bytes",
            Kind::Gauge,
            "Memory that it has addresses for.",
            field(VIRTUAL),
        ),
        (
            "process_threads",
            Kind::Gauge,
            "Threads of the process.",
            field(THREADS),
        ),
    ];
    for (name, kind, help, value) in rows {
        if let Some(value) = value {
            page.one(name, kind, help, value);
        }
    }
    write_descriptors(page);
}

fn write_descriptors(page: &mut Page) {
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let help = "File descriptors that are open.";
        // One of them is the listing itself.
        let count = open.count().saturating_sub(1) as f64;
        page.one("process_open_fds", Kind::Gauge, help, count);
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        let help = "File descriptors that may be open.";
        page.one("process_max_fds", Kind::Gauge, help, limit as f64);
    }
}

/// The numbers after the name, which is in brackets and may hold anything.
fn numbers(stat: &str) -> Vec<f64> {
    let (_, after) = stat.rsplit_once(')').unwrap_or_default();
    let fields = after.split_whitespace();
    fields
        .map(|field| field.parse().unwrap_or_default())
        .collect()
}

/// When the machine was booted, in seconds since 1970.
fn boot_time(stat: &str) -> Option<f64> {
    let mut lines = stat.lines();
    lines
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_shifts_nothing() {
        let stat = "7 (a) b (c) S 1 2 3";
        assert_eq!(numbers(stat), [0.0, 1.0, 2.0, 3.0]);
        assert!(numbers("").is_empty());
        assert_eq!(boot_time("cpu 1\nbtime 12\n"), Some(12.0));
    }

    #[test]
    fn this_process_has_a_thread_a_memory_and_a_past() {
        let mut page = Page::default();
        write(&mut page);
        let text = page.into_text();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find(|line| line.split(' ').next() == Some(name));
            line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
        };
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-5.0..36_000.0).contains(&age), "{age}");
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!((3.0..=value("process_max_fds")).contains(&value("process_open_fds")));
    }
}
