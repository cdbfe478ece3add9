//! Node's own HTTP/2, in both roles.

use crate::interop::fixture::{Fixture, MB_1, MB_100, MEDIUM, SMALL, Security, Shared};
use crate::interop::{Case, expect};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    Security::BOTH.into_iter().flat_map(client).collect()
}

fn client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/node/{what}-{}", security.name());
    let against = move |fixture: &Fixture, shared, args: &[&str]| {
        let port = fixture.port(shared, security)?;
        let mut node = fixture.node("http2-client.js")?;
        node.args([&port.to_string(), security.name()]).args(args);
        fixture.run(&mut node, 70)?.success()
    };
    let get = move |fixture: &Fixture, args: &[&str]| against(fixture, Shared::Lacewingd, args);
    let echo = if security == Security::Plain {
        Shared::EchoPlain
    } else {
        Shared::EchoTls
    };
    vec![
        Case::new(name("get-small"), move |fixture| {
            expect(
                &get(fixture, &["get", &format!("/{SMALL}")])?,
                &fixture.answer(SMALL),
            )
        }),
        Case::new(name("get-100-mb"), move |fixture| {
            expect(
                &get(fixture, &["get", &format!("/{MB_100}")])?,
                &fixture.answer(MB_100),
            )
        }),
        Case::new(name("parallel-50"), move |fixture| {
            let printed = get(fixture, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", fixture.answer(MEDIUM)))
        }),
        Case::new(name("ping"), move |fixture| {
            expect(&get(fixture, &["ping", "5"])?, "5 pings")
        }),
        Case::new(name("goaway"), move |fixture| {
            expect(
                &get(fixture, &["goaway", &format!("/{MEDIUM}")])?,
                &fixture.answer(MEDIUM),
            )
        }),
        Case::new(name("echo-100-mb"), move |fixture| {
            let file = fixture.file(MB_100);
            let printed = against(fixture, echo, &["post", "/echo", &file.to_string_lossy()])?;
            expect(&printed, &fixture.answer(MB_100))
        }),
        Case::new(name("drain"), move |fixture| {
            let (mut server, plain, tls) = fixture.lacewingd("h2")?;
            let port = if security == Security::Plain {
                plain
            } else {
                tls
            };
            let mut node = fixture.node("http2-client.js")?;
            node.args([
                &port.to_string(),
                security.name(),
                "drain",
                &format!("/{MB_1}"),
            ]);
            let mut client = fixture.spawn(&mut node)?;
            client.wait_for("started", 20)?;
            server.terminate()?;
            let printed = client.finish(60)?.success()?;
            expect(&printed, &format!("started\n{}", fixture.answer(MB_1)))?;
            let status = server.wait(Duration::from_secs(10))?;
            Ok(status.to_string())
        }),
    ]
}
