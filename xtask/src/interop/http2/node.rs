//! Node's own HTTP/2, in both roles.

use crate::interop::lab::{Lab, MB_1, MB_100, MEDIUM, SMALL, Security, Shared};
use crate::interop::{Case, expect};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    Security::BOTH.into_iter().flat_map(client).collect()
}

fn client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/node/{what}-{}", security.name());
    let against = move |lab: &Lab, shared, args: &[&str]| {
        let port = lab.port(shared, security)?;
        let mut node = lab.node("http2-client.js")?;
        node.args([&port.to_string(), security.name()]).args(args);
        lab.run(&mut node, 70)?.success()
    };
    let get = move |lab: &Lab, args: &[&str]| against(lab, Shared::Lacewingd, args);
    let echo = if security == Security::Plain {
        Shared::EchoPlain
    } else {
        Shared::EchoTls
    };
    vec![
        Case::new(name("get-small"), move |lab| {
            expect(
                &get(lab, &["get", &format!("/{SMALL}")])?,
                &lab.answer(SMALL),
            )
        }),
        Case::new(name("get-100-mb"), move |lab| {
            expect(
                &get(lab, &["get", &format!("/{MB_100}")])?,
                &lab.answer(MB_100),
            )
        }),
        Case::new(name("parallel-50"), move |lab| {
            let printed = get(lab, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
        }),
        Case::new(name("ping"), move |lab| {
            expect(&get(lab, &["ping", "5"])?, "5 pings")
        }),
        Case::new(name("goaway"), move |lab| {
            expect(
                &get(lab, &["goaway", &format!("/{MEDIUM}")])?,
                &lab.answer(MEDIUM),
            )
        }),
        Case::new(name("echo-100-mb"), move |lab| {
            let file = lab.file(MB_100);
            let printed = against(lab, echo, &["post", "/echo", &file.to_string_lossy()])?;
            expect(&printed, &lab.answer(MB_100))
        }),
        Case::new(name("drain"), move |lab| {
            let (mut server, plain, tls) = lab.lacewingd("h2")?;
            let port = if security == Security::Plain {
                plain
            } else {
                tls
            };
            let mut node = lab.node("http2-client.js")?;
            node.args([
                &port.to_string(),
                security.name(),
                "drain",
                &format!("/{MB_1}"),
            ]);
            let mut client = lab.spawn(&mut node)?;
            client.wait_for("started", 20)?;
            server.terminate()?;
            let printed = client.finish(60)?.success()?;
            expect(&printed, &format!("started\n{}", lab.answer(MB_1)))?;
            let status = server.wait(Duration::from_secs(10))?;
            Ok(status.to_string())
        }),
    ]
}
