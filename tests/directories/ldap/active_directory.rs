//! A server that answers as Active Directory does, as Microsoft documents it: refusals with a number
//! in their text, groups within groups by its matching rule, locks that it computes.
//! It must not be taken for the real one.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const SETTINGS: &str = r#"
    start_tls = false
    bind_dn = "CN=svc,DC=example,DC=org"
    bind_password = "svc-secret"
    user_base = "DC=example,DC=org"
    user_filter = "(&(objectCategory=person)(sAMAccountName={user}))"
    group_base = "DC=example,DC=org"
    group_filter = "(member={dn})"
"#;
const IN_CHAIN: &[u8] = b"1.2.840.113556.1.4.1941";
const PEOPLE: [(&str, &str); 9] = [
    ("ada", ""),
    ("wrong", "52e"),
    ("late", "530"),
    ("elsewhere", "531"),
    ("expired", "532"),
    ("disabled", "533"),
    ("over", "701"),
    ("must-change", "773"),
    ("locked", "775"),
];

/// One element of BER, of less than 64 KiB.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, content].concat()
}

fn result(operation: u8, code: u8, text: &str) -> Vec<u8> {
    let parts = [
        element(0x0a, &[code]),
        element(4, b""),
        element(4, text.as_bytes()),
    ];
    element(operation, &parts.concat())
}

fn entry(dn: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let attributes = attributes.iter().map(|(name, value)| {
        let values = element(0x31, &element(4, value.as_bytes()));
        element(0x30, &[element(4, name.as_bytes()), values].concat())
    });
    let attributes = element(0x30, &attributes.collect::<Vec<_>>().concat());
    element(0x64, &[element(4, dn.as_bytes()), attributes].concat())
}

/// Names have no case there; this goes for passwords too, which no test minds.
fn has(request: &[u8], words: &[u8]) -> bool {
    let mut windows = request.windows(words.len());
    windows.any(|window| window.eq_ignore_ascii_case(words))
}

/// What it says to `request`: entries, and the result at the end.
fn answers(request: &[u8], advertised: bool) -> Vec<Vec<u8>> {
    let about = |name: &str| {
        let (equals, dn) = (name, format!("CN={name},OU=People,DC=example,DC=org"));
        let short = [&[4, equals.len() as u8], equals.as_bytes()].concat();
        (has(request, &short), has(request, dn.as_bytes()), dn)
    };
    if request[5] == 0x60 && has(request, b"svc-secret") {
        return vec![result(0x61, 0, "")];
    }
    if request[5] == 0x60 {
        let known = PEOPLE.iter().find(|(name, _)| about(name).1);
        let right =
            known.is_some_and(|(name, _)| has(request, format!("{name}-secret").as_bytes()));
        let data = match known {
            Some((_, "")) if right => return vec![result(0x61, 0, "")],
            Some((_, data)) if right => data,
            Some(_) => "52e",
            None => "525",
        };
        let text = format!(
            "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {data}, v4563\0"
        );
        return vec![result(0x61, 49, &text)];
    }
    let mut found = Vec::new();
    if has(request, b"supportedCapabilities") {
        let capability = if advertised {
            "1.2.840.113556.1.4.800"
        } else {
            "1.1"
        };
        found.push(entry("", &[("supportedCapabilities", capability)]));
    } else if has(request, b"objectCategory") {
        let person = PEOPLE.iter().map(|(name, _)| about(name));
        found.extend(
            person
                .filter(|(named, ..)| *named)
                .map(|(.., dn)| entry(&dn, &[])),
        );
        let referral = element(4, b"ldap://other.example.org/DC=other,DC=example,DC=org");
        found.push(element(0x73, &referral));
    } else if has(request, IN_CHAIN) {
        found.push(entry("CN=lb-staff,DC=example,DC=org", &[]));
        found.push(entry("CN=LB-Admins,DC=example,DC=org", &[]));
    } else if has(request, b"sAMAccountName") {
        // Locked once, which nothing but what it computes shows to be over.
        found.push(entry(
            "CN=ada,OU=People,DC=example,DC=org",
            &[
                ("sAMAccountName", "Ada"),
                ("userAccountControl", "512"),
                ("lockoutTime", "134397000000000000"),
                ("msDS-User-Account-Control-Computed", "0"),
                ("memberOf", "CN=lb-staff,DC=example,DC=org"),
            ],
        ));
    }
    found.push(result(0x65, 0, ""));
    found
}

async fn serve(mut stream: TcpStream, advertised: bool) {
    let mut request = [0; 4096];
    while let Ok(count @ 7..) = stream.read(&mut request).await {
        // The library writes lengths as short as they can be, so the number may be further on.
        let skip = usize::from(request[1].saturating_sub(0x80) & 0x0f);
        let start = if request[1] < 0x80 { 0 } else { skip };
        let id = request[start + 4];
        for answer in answers(&request[start..count], advertised) {
            let message = element(0x30, &[&[2, 1, id], &answer[..]].concat());
            if stream.write_all(&message).await.is_err() {
                return;
            }
        }
    }
}

async fn active_directory(advertised: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, advertised));
        }
    });
    address
}

async fn against(nested: &str, advertised: bool) -> Ldap {
    let url = format!("ldap://{}", active_directory(advertised).await);
    backend(&format!(
        "urls = [{url:?}]\n{SETTINGS}\nnested = {nested:?}"
    ))
}

#[tokio::test]
async fn each_refusal_of_active_directory_is_told_apart() {
    let backend = against("off", true).await;
    for (user, because) in [
        ("wrong", "the name or the password is wrong"),
        ("late", "not at this time of day"),
        ("elsewhere", "not from this machine"),
        ("expired", "the password has expired"),
        ("disabled", "the account is disabled"),
        ("over", "the account has expired"),
        ("must-change", "the password must be changed first"),
        ("locked", "the account is locked"),
        ("nobody", "there is no such user"),
    ] {
        let refused = rejected(log_in(&backend, user, &format!("{user}-secret")).await);
        assert_eq!(refused, because, "{user}");
    }
    let refused = rejected(log_in(&backend, "ada", "guessed").await);
    assert_eq!(refused, "the name or the password is wrong");
}

#[tokio::test]
async fn chains_of_groups_are_followed_by_the_rule_of_active_directory_where_it_is_known() {
    let off = accepted(log_in(&against("off", true).await, "ada", "ada-secret").await);
    assert_eq!(off.groups, ["CN=lb-staff,DC=example,DC=org"]);
    let backend = against("chain", true).await;
    let ada = accepted(log_in(&backend, "ada", "ada-secret").await);
    assert_eq!(ada.user, "Ada");
    assert_eq!(
        ada.groups,
        [
            "CN=lb-staff,DC=example,DC=org",
            "CN=LB-Admins,DC=example,DC=org"
        ]
    );
    // A lock that is over by what it computes is none when asked again.
    assert_eq!(accepted(recheck(&backend, &ada).await), ada);
    let because = unavailable(log_in(&against("chain", false).await, "ada", "ada-secret").await);
    assert!(because.contains("chains of groups"), "{because}");
}
