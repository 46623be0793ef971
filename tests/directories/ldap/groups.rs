//! The groups that somebody is in, and those that these are in.

use super::*;

#[tokio::test]
async fn groups_within_groups_count_only_where_that_is_set() {
    let Some(server) = Slapd::start() else { return };
    let url = server.tls("localhost");
    let off = at(&server, &url, SEARCH);
    let nina = accepted(log_in(&off, "nina", "nina-secret").await);
    assert_eq!(short(&nina.groups), ["cn=inner", "cn=loop-a"]);
    let expand = at(&server, &url, &format!("{SEARCH}\nnested = \"expand\""));
    let nina = accepted(log_in(&expand, "nina", "nina-secret").await);
    let all = [
        "cn=inner",
        "cn=loop-a",
        "cn=loop-b",
        "cn=outer",
        "cn=outermost",
    ];
    assert_eq!(short(&nina.groups), all);
    let paul = accepted(log_in(&expand, "paul", "paul-secret").await);
    assert_eq!(short(&paul.groups), ["cn=operators"]);
    let chain = at(&server, &url, &format!("{SEARCH}\nnested = \"chain\""));
    let because = unavailable(log_in(&chain, "nina", "nina-secret").await);
    assert!(because.contains("nested = \"expand\""), "{because}");
}

#[tokio::test]
async fn groups_in_more_levels_than_are_followed_let_nobody_in() {
    let Some(server) = Slapd::start() else { return };
    for level in 0..12 {
        let member = match level {
            0 => "uid=vera,ou=people".to_owned(),
            _ => format!("cn=level{},ou=groups", level - 1),
        };
        server.change(&format!(
            "dn: cn=level{level},ou=groups,dc=example,dc=org\nchangetype: add\n\
             objectClass: groupOfNames\nmember: {member},dc=example,dc=org\n"
        ));
    }
    let expand = format!("{SEARCH}\nnested = \"expand\"");
    let backend = at(&server, &server.tls("localhost"), &expand);
    let because = unavailable(log_in(&backend, "vera", "vera-secret").await);
    assert!(because.contains("more than 10 levels"), "{because}");
    accepted(log_in(&backend, "ada", "ada-secret").await);
}
