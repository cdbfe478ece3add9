//! kubeconfig files, and what they say of the server and the user.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use super::{api::Access, *};

/// A kubeconfig with one context, `c`.
fn kubeconfig(server: &str, cluster: Value, user: Value) -> Value {
    let mut cluster = cluster;
    cluster["server"] = server.into();
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "cluster", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "c", "context": { "cluster": "cluster", "user": "user" } }],
    })
}

fn exec(config: &Path) -> Command {
    let mut command = lacewing(&["exec", "mypod"]);
    command.arg("--kubeconfig").arg(config);
    command
}

fn finish(command: &mut Command) -> Output {
    command.args(["--", "echo", "reached"]).output().unwrap()
}

fn reached(command: &mut Command) {
    expect(&finish(command), 0, "reached\n", "");
}

fn refused(command: &mut Command, part: &str) {
    let output = finish(command);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.starts_with("error: ") && stderr.contains(part),
        "{part:?} is not in {stderr:?}"
    );
}

#[test]
fn certificates_of_the_server() {
    let folder = scratch("certificates");
    let api = Api::secure(Access::Everyone, "api.example");
    let pem = api.certificate.clone().unwrap();
    fs::write(folder.join("ca.pem"), &pem).unwrap();
    let config = |cluster: Value| {
        let path = folder.join("config");
        fs::write(
            &path,
            kubeconfig(&api.url(), cluster, json!({})).to_string(),
        )
        .unwrap();
        path
    };
    let data = STANDARD.encode(&pem);
    let name = "api.example";
    // Files are relative to the kubeconfig.
    let file = json!({ "certificate-authority": "ca.pem", "tls-server-name": name });
    reached(&mut exec(&config(file)));
    let data = json!({ "certificate-authority-data": data, "tls-server-name": name });
    reached(&mut exec(&config(data)));
    reached(&mut exec(&config(
        json!({ "insecure-skip-tls-verify": true }),
    )));
    let other_name = json!({ "certificate-authority": "ca.pem" });
    refused(&mut exec(&config(other_name)), "tls-server-name");
    let untrusted = config(json!({ "tls-server-name": name }));
    refused(&mut exec(&untrusted), "--insecure-skip-tls-verify");
    reached(exec(&untrusted).arg("--insecure-skip-tls-verify"));
    let missing = json!({ "certificate-authority": "missing.pem" });
    refused(&mut exec(&config(missing)), "missing.pem");
}

#[test]
fn tokens_and_passwords() {
    let folder = scratch("tokens");
    fs::write(folder.join("token"), "secret\n").unwrap();
    let config = |api: &Api, user: Value| {
        let path = folder.join("config");
        fs::write(&path, kubeconfig(&api.url(), json!({}), user).to_string()).unwrap();
        path
    };
    let api = Api::secure(Access::Authorization("Bearer secret"), "127.0.0.1");
    let insecure = |user: Value| {
        let mut command = exec(&config(&api, user));
        command.arg("--insecure-skip-tls-verify");
        command
    };
    reached(&mut insecure(json!({ "token": "secret" })));
    reached(&mut insecure(json!({ "tokenFile": "token" })));
    reached(insecure(json!({})).args(["--token", "secret"]));
    let wrong = "Unauthorized (401 Unauthorized); check the credentials";
    refused(&mut insecure(json!({ "token": "other" })), wrong);
    refused(&mut insecure(json!({})), wrong);
    let plugin = json!({ "exec": { "apiVersion": "client.authentication.k8s.io/v1",
        "command": "aws", "interactiveMode": "Never" } });
    refused(
        &mut insecure(plugin),
        "plugin \"aws\", which lacewing does not run",
    );
    let api = Api::secure(Access::Authorization("Basic bWU6c2VjcmV0"), "127.0.0.1");
    let user = json!({ "username": "me", "password": "secret" });
    reached(exec(&config(&api, user)).arg("--insecure-skip-tls-verify"));
}

#[test]
fn client_certificates() {
    let folder = scratch("client certificates");
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["me".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    let api = Api::secure(Access::Certificate(ca.der().clone()), "127.0.0.1");
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    fs::write(folder.join("cert.pem"), &certificate).unwrap();
    fs::write(folder.join("key.pem"), &key).unwrap();
    let config = |user: Value| {
        let path = folder.join("config");
        let cluster = json!({ "insecure-skip-tls-verify": true });
        fs::write(&path, kubeconfig(&api.url(), cluster, user).to_string()).unwrap();
        path
    };
    let files = json!({ "client-certificate": "cert.pem", "client-key": "key.pem" });
    reached(&mut exec(&config(files)));
    let data = json!({
        "client-certificate-data": STANDARD.encode(&certificate),
        "client-key-data": STANDARD.encode(&key),
    });
    reached(&mut exec(&config(data)));
    let half = json!({ "client-certificate": "cert.pem" });
    refused(&mut exec(&config(half)), "needs both");
    let none = finish(&mut exec(&config(json!({}))));
    assert_eq!(none.status.code(), Some(1), "{none:?}");
}

/// The first of several files wins, and a missing one does not matter.
#[test]
fn several_files_and_contexts() {
    let folder = scratch("several");
    let api = Api::new();
    let right = kubeconfig(&api.url(), json!({}), json!({}));
    let mut wrong = kubeconfig("http://127.0.0.1:1", json!({}), json!({}));
    wrong["contexts"] = json!([
        { "name": "wrong", "context": { "cluster": "elsewhere", "user": "user" } },
        { "name": "far", "context": { "cluster": "cluster", "namespace": "far" } },
    ]);
    wrong["clusters"] =
        json!([{ "name": "elsewhere", "cluster": { "server": "http://127.0.0.1:1" } }]);
    wrong["current-context"] = "wrong".into();
    let (first, second) = (folder.join("first"), folder.join("second"));
    fs::write(&first, right.to_string()).unwrap();
    fs::write(&second, wrong.to_string()).unwrap();
    let files = [folder.join("missing"), first, second];
    let files = std::env::join_paths(files).unwrap();
    let exec = |more: &[&str]| {
        let mut command = lacewing(&["exec", "mypod"]);
        command.env("KUBECONFIG", &files).args(more);
        command
    };
    reached(&mut exec(&[]));
    reached(&mut exec(&["--context", "wrong", "--cluster", "cluster"]));
    reached(&mut exec(&["--context", "far", "-n", "default"]));
    refused(&mut exec(&["--context", "far"]), "not found");
    refused(&mut exec(&["--context", "none"]), "none");
    refused(&mut exec(&["--context", "wrong"]), "unable to connect");
    refused(&mut lacewing(&["exec", "mypod"]), "no configuration");
    let proxied = kubeconfig(
        &api.url(),
        json!({ "proxy-url": "http://proxy:1" }),
        json!({}),
    );
    let path = folder.join("proxied");
    fs::write(&path, proxied.to_string()).unwrap();
    refused(&mut super::config::exec(&path), "proxy-url");
}
