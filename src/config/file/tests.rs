//! What `parse` does with texts that nobody would write, and with what they leave of each other.

use proptest::prelude::*;

use super::*;

const WHOLE: &str = include_str!("../../../config/pointsman.toml");

fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).map_or_else(|problems| problems, |_| Vec::new());
    let lines = problems.iter().map(|p| (p.line.unwrap_or(0), p));
    lines.map(|(line, p)| format!("{line}: {p}")).collect()
}

#[test]
fn what_only_follows_from_another_problem_is_not_reported() {
    let text = r#"
[[service]]
name = "web"
listen = ["db1:80"]
active = "green"
[[service.group]]
nmae = "green"
[[service.group]]
name = "blue"
[[service.group.host]]
name = "w1"
address = 7001
"#;
    let lines = problems(text);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with("4: service.web.listen[0]: \"db1:80\" is not an IP"));
    assert_eq!(
        lines[1],
        "7: service.web.group[0]: unknown key `nmae`, did you mean `name`?"
    );
    assert!(lines[2].starts_with("12: service.web.group.blue.host.w1.address: must be"));
}

#[test]
fn what_stays_wrong_is_reported_beside_what_was_struck_out() {
    let text = r#"
[[service]]
name = "web"
listen = ["127.0.0.1:80", "127.0.0.1:81"]
[[service.group]]
name = "blue"
[[service.group.host]]
name = 1
address = "127.0.0.1:7000"
[[service.group.host]]
name = "w2"
address = "127.0.0.1:7001"
[[service.group.host]]
name = "w2"
address = "127.0.0.1:0"
[[service]]
name = "shop"
listen = ["127.0.0.1:81"]
active = "green"
[[service.group]]
name = "blue"
"#;
    assert_eq!(
        problems(text),
        [
            "8: service.web.group.blue.host[0].name: must be a text in quotes, not the number 1",
            "14: service.web.group.blue.host.w2.name: there are two hosts called w2",
            "15: service.web.group.blue.host.w2.address: a host cannot be reached at port 0",
            "18: service.shop.listen[0]: 127.0.0.1:81 is already listened on by service web",
            "19: service.shop.active: no group green in service shop",
        ]
    );
}

#[test]
fn a_problem_that_is_a_consequence_of_another_is_held_back_and_no_other_is() {
    let service = |keys: &str| {
        let text = format!("[[service]]\nname = \"web\"\nlisten = [\"127.0.0.1:80\"]\n{keys}");
        problems(&text).len()
    };
    for (keys, count) in [
        ("group = 1", 1),
        ("group = [1]", 1),
        ("active = \"blue\"\ngrup = []", 1),
        ("active = \"blue\"\ngroup = [1, { name = \"green\" }]", 1),
        ("active = \"blue\"\ngroup = [{ name = 1 }]", 1),
        (
            "active = \"blue\"\ngroup = [{ name = \"green\", host = 1 }]",
            2,
        ),
        ("limits = 1\nretries = 1.5\ngroup = []", 3),
        ("group = [{ name = \"a\", host = [{}, {}] }]", 4),
    ] {
        assert_eq!(service(keys), count, "{keys}");
    }
    let admin = |http: &str| problems(&format!("service = []\nadmin.http = {http}")).len();
    assert_eq!(admin("{ listen = \"x\", certificate = \"a\" }"), 2);
    assert_eq!(admin("{ listen = \"1.1.1.1:1\", certifikate = \"a\" }"), 1);
    assert_eq!(problems("[[sevrice]]").len(), 1);
}

#[test]
fn a_service_whose_name_is_not_known_is_called_by_its_number() {
    let text = r#"
[[service]]
listen = ["127.0.0.1:80"]
active = "green"
group = [{ name = "blue" }]
[[service]]
name = "shop"
listen = ["127.0.0.1:80"]
group = [{ name = "blue" }]
"#;
    assert_eq!(
        problems(text),
        [
            "2: service[0]: the key `name` is missing",
            "4: service[0].active: no group green in service[0]",
            "8: service.shop.listen[0]: 127.0.0.1:80 is already listened on by service[0]",
        ]
    );
}

#[test]
fn having_no_service_must_be_said() {
    assert_eq!(problems(""), ["0: no [[service]]: nothing to balance"]);
    assert!(parse("service = []").is_ok_and(|config| config.topology.services.is_empty()));
}

#[test]
fn there_is_an_end_of_problems() {
    let keys: String = (0..500).map(|n| format!("key{n} = 1\n")).collect();
    assert_eq!(problems(&keys).len(), MAX_PROBLEMS);
}

#[test]
fn a_line_is_right_whatever_ends_the_lines_before() {
    for (text, line) in [
        ("\u{feff}x = 1\nservice = []", 1),
        ("\r\n\r\nx = 1\r\nservice = []", 3),
        ("# é\n\n\n\nx = 1\nservice = []", 5),
        ("service = []\nnode = { threads = 1,\n  x = 1 }", 3),
    ] {
        let problems = parse(text).unwrap_err();
        assert_eq!(problems[0].line, Some(line), "{text:?}: {problems:?}");
    }
}

#[test]
fn deep_nesting_and_endless_numbers_are_only_problems() {
    for n in [10, 79, 80, 81, 200, 100_000] {
        for text in [
            format!("x = {}{}", "[".repeat(n), "]".repeat(n)),
            format!("x = {}", "[".repeat(n)),
            format!("x = {}1{}", "{a=".repeat(n), "}".repeat(n)),
            format!("[{}a]", "a.".repeat(n)),
            format!("{}a = 1", "service.".repeat(n)),
            format!("node.threads = 1{}", "0".repeat(n)),
            format!("node.threads = 1.{}e{}", "9".repeat(n), "9".repeat(n)),
            format!("node.threads = -{}", "1".repeat(n)),
            format!("node.name = \"{}\"", "x".repeat(n)),
            format!("node.drain_timeout = \"{}s\"", "9".repeat(n)),
            format!("{} = 1", "k".repeat(n)),
        ] {
            for problem in problems(&text) {
                assert!(problem.len() < 2000, "{problem}");
            }
        }
    }
}

/// Pieces that make it more likely that something gets past the syntax.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[node]\n",
        "[[service]]\n",
        "[[service.group]]\n",
        "[[service.group.host]]\n",
        "name = ",
        "\"web\"\n",
        "listen = ",
        "[\"127.0.0.1:80\"]\n",
        "weight = ",
        "300\n",
        "1e400\n",
        "{ ",
        " }\n",
        "kind = ",
        "\"source-hash\"",
        ", ",
        "load_factor = ",
        "nan\n",
        "1979-05-27\n",
        "active = ",
        "0xffffffffffffffffffff\n",
        "timeouts.idle = ",
        "\"5s\"\n",
        "scheduler = ",
        "service = ",
        "[]\n",
        "[{}]\n",
        "true\n",
        "''\n",
        "group = ",
        "\u{0}",
        "\"\\u0000\"\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_pieces_make_it_panic(text in pieces()) {
        let _ = parse(&text);
    }

    #[test]
    fn no_slip_in_a_good_file_makes_it_panic(
        slips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8)
    ) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (at, byte, way) in slips {
            let at = at.index(bytes.len());
            match way {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        for problem in parse(&String::from_utf8_lossy(&bytes)).err().into_iter().flatten() {
            prop_assert!(!problem.message.is_empty());
        }
    }
}
