//! Go's x/net/http2, in both roles.

use super::echo_port;
use crate::interop::fixture::{Fixture, MB_100, MEDIUM, Security, Shared};
use crate::interop::{Case, expect};

pub(super) fn cases() -> Vec<Case> {
    Security::BOTH.into_iter().flat_map(client).collect()
}

fn client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/go/{what}-{}", security.name());
    let run = move |fixture: &Fixture, port: u16, args: &[&str]| {
        let mut client = fixture.go("http2-client")?;
        client.args([&port.to_string(), security.name()]).args(args);
        fixture.run(&mut client, 70)?.success()
    };
    vec![
        Case::new(name("get-100-mb"), move |fixture| {
            let port = fixture.port(Shared::Lacewingd, security)?;
            expect(
                &run(fixture, port, &["get", &format!("/{MB_100}")])?,
                &fixture.answer(MB_100),
            )
        }),
        Case::new(name("parallel-50"), move |fixture| {
            let port = fixture.port(Shared::Lacewingd, security)?;
            let printed = run(fixture, port, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", fixture.answer(MEDIUM)))
        }),
        Case::new(name("echo-100-mb"), move |fixture| {
            let path = fixture.file(MB_100);
            let args = ["post", "/echo", &path.to_string_lossy()];
            expect(
                &run(fixture, echo_port(fixture, "h2", security)?, &args)?,
                &fixture.answer(MB_100),
            )
        }),
    ]
}
