//! The API server, and the credentials for it: from kubeconfig files, or from inside a pod.

use std::{env, fs, io, path::PathBuf, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::Scheme};
use kube_client::{
    Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use lacewing_client::{Origin, tls::Certificates};
use lacewing_kube::client::StreamingProtocol;
use rustls::{
    ClientConfig, RootCertStore,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{ClusterArgs, failure::TaskFailure};

/// An API server, and the way to it.
pub(super) struct Cluster {
    pub(super) server: Uri,
    pub(super) namespace: String,
    /// The fields that authenticate a request.
    pub(super) headers: HeaderMap,
    pub(super) transport: StreamingProtocol,
    host: String,
    port: u16,
    tls: Option<(ServerName<'static>, TlsConnector)>,
}

/// A connection to an API server.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl Cluster {
    pub(super) async fn load(args: &ClusterArgs) -> Result<Self, TaskFailure> {
        let mut config = config(args).await?;
        if let Some(server) = &args.server {
            config.cluster_url = server.clone();
        }
        config.accept_invalid_certs |= args.insecure_skip_tls_verify;
        if let Some(token) = &args.token {
            config.auth_info = AuthInfo {
                token: Some(token.clone().into()),
                ..AuthInfo::default()
            };
        }
        let server = config.cluster_url.clone();
        let host = server.host().map(|host| host.trim_matches(['[', ']']));
        let host = host
            .ok_or_else(|| TaskFailure::new(format!("the server {server} has no host")))?
            .to_owned();
        let is_secure = match server.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => {
                let text = format!(
                    "the server {server} has neither http nor https as its scheme; write it as \
                     https://127.0.0.1:6443"
                );
                return Err(TaskFailure::new(text));
            }
        };
        let tls = match is_secure {
            true => {
                let name = config
                    .tls_server_name
                    .as_deref()
                    .unwrap_or(&host)
                    .to_owned();
                let name = ServerName::try_from(name).map_err(TaskFailure::new)?;
                Some((name, TlsConnector::from(Arc::new(tls(&config)?))))
            }
            false => None,
        };
        let origin = Origin::of(&server)
            .map_err(|error| TaskFailure::new(format!("the server {server}: {error}")))?;
        let namespace = args.namespace.clone();
        Ok(Self {
            headers: credentials(&config.auth_info)?,
            port: origin.port(),
            namespace: namespace.unwrap_or(config.default_namespace),
            transport: args.transport.transport(),
            server,
            host,
            tls,
        })
    }

    /// Opens a transport to the server: a connection without ALPN, as kubectl has for
    /// upgrades.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Io>> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some((name, connector)) => {
                let stream = connector.connect(name.clone(), tcp).await?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// The configuration that the command line and the environment choose.
async fn config(args: &ClusterArgs) -> Result<Config, TaskFailure> {
    let kubeconfig = match &args.kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path).map_err(TaskFailure::new)?),
        None => merged(files())?,
    };
    let Some(kubeconfig) = kubeconfig else {
        return match (&args.server, Config::incluster()) {
            (Some(server), _) => Ok(Config::new(server.clone())),
            (None, Ok(config)) => Ok(config),
            (None, Err(_)) => Err(TaskFailure::new(
                "no configuration: there is no kubeconfig file, and this is no pod of a cluster; \
                 give --kubeconfig, set KUBECONFIG, or give --server",
            )),
        };
    };
    if let Some(name) = cluster_with_proxy(&kubeconfig, args) {
        return Err(TaskFailure::new(format!(
            "the cluster {name:?} has a proxy-url, which lacewing does not support; use kubectl"
        )));
    }
    let options = KubeConfigOptions {
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
    };
    let loaded = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    loaded.map_err(TaskFailure::new)
}

/// The kubeconfig files of the environment that exist: kubectl passes over the others.
fn files() -> Vec<PathBuf> {
    let named = env::var_os("KUBECONFIG").unwrap_or_default();
    let named = env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let mut files: Vec<_> = named.collect();
    if files.is_empty() {
        let home = env::home_dir().map(|home| home.join(".kube/config"));
        files.extend(home);
    }
    files.retain(|path| path.exists());
    files
}

/// The first file wins.
fn merged(files: Vec<PathBuf>) -> Result<Option<Kubeconfig>, TaskFailure> {
    let mut merged = None;
    for file in files {
        let next = Kubeconfig::read_from(file).map_err(TaskFailure::new)?;
        merged = Some(match merged {
            None => next,
            Some(first) => Kubeconfig::merge(first, next).map_err(TaskFailure::new)?,
        });
    }
    Ok(merged)
}

/// Returns the name of the chosen cluster if it is behind a proxy.
fn cluster_with_proxy(kubeconfig: &Kubeconfig, args: &ClusterArgs) -> Option<String> {
    let context = args.context.as_ref();
    let context = context.or(kubeconfig.current_context.as_ref());
    let mut contexts = kubeconfig.contexts.iter();
    let context = contexts.find(|named| Some(&named.name) == context);
    let cluster = args.cluster.clone().or_else(|| {
        let context = context?.context.as_ref()?;
        Some(context.cluster.clone())
    })?;
    let mut clusters = kubeconfig.clusters.iter();
    let found = clusters.find(|named| named.name == cluster)?;
    let proxy = found.cluster.as_ref()?.proxy_url.as_deref()?;
    (!proxy.is_empty()).then_some(cluster)
}

/// The TLS of a configuration.
fn tls(config: &Config) -> Result<ClientConfig, TaskFailure> {
    let mut tls = match (&config.root_cert, config.accept_invalid_certs) {
        (_, true) => Certificates::danger_accept_any().rustls_config(),
        (None, false) => Certificates::mozilla().rustls_config(),
        (Some(certificates), false) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                let certificate = CertificateDer::from(certificate.clone());
                roots.add(certificate).map_err(|error| {
                    TaskFailure::new(format!("the cluster's certificate-authority: {error}"))
                })?;
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(TaskFailure::new)?
                .with_root_certificates(roots)
                .with_no_client_auth()
        }
    };
    if let Some(identity) = identity(&config.auth_info)? {
        tls.client_auth_cert_resolver = identity;
    }
    Ok(tls)
}

/// The client certificate of a user.
fn identity(user: &AuthInfo) -> Result<Option<Arc<dyn ResolvesClientCert>>, TaskFailure> {
    let certificate = content(
        "client-certificate",
        user.client_certificate_data.as_deref(),
        user.client_certificate.as_deref(),
    )?;
    let key = user.client_key_data.as_ref();
    let key = content(
        "client-key",
        key.map(|key| key.expose_secret()),
        user.client_key.as_deref(),
    )?;
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            return Err(TaskFailure::new(
                "the user has one of client-certificate and client-key, and needs both",
            ));
        }
    };
    let wrong = |error: &dyn std::fmt::Display| {
        TaskFailure::new(format!(
            "the user's client-certificate and client-key: {error}"
        ))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| wrong(&error))?;
    let provider = rustls::crypto::ring::default_provider();
    let identity = CertifiedKey::from_der(chain, key, &provider).map_err(|error| wrong(&error))?;
    Ok(Some(Arc::new(SingleCertAndKey::from(identity))))
}

/// The content of a field that has base64, or names a file.
fn content(
    field: &str,
    data: Option<&str>,
    file: Option<&str>,
) -> Result<Option<Vec<u8>>, TaskFailure> {
    let failure = |error: &dyn std::fmt::Display| TaskFailure::new(format!("{field}: {error}"));
    match (data.filter(|data| !data.is_empty()), file) {
        (Some(data), _) => {
            let decoded = STANDARD.decode(data.trim());
            decoded.map(Some).map_err(|error| failure(&error))
        }
        (None, Some(file)) if !file.is_empty() => {
            let read = fs::read(file);
            read.map(Some)
                .map_err(|error| failure(&format_args!("{file}: {error}")))
        }
        _ => Ok(None),
    }
}

/// The header fields that authenticate a user.
fn credentials(user: &AuthInfo) -> Result<HeaderMap, TaskFailure> {
    let plugin = user.exec.as_ref().map(|exec| exec.command.as_deref());
    let provider = user.auth_provider.as_ref();
    let plugin = plugin.or_else(|| provider.map(|provider| Some(provider.name.as_str())));
    if let Some(plugin) = plugin {
        return Err(TaskFailure::new(format!(
            "the kubeconfig's user has its credentials from the plugin {:?}, which lacewing does \
             not run; give --token, such as that of `kubectl create token`",
            plugin.unwrap_or_default()
        )));
    }
    let mut headers = HeaderMap::new();
    let token = match (&user.token, &user.token_file) {
        // As kubectl does: the file may have a newer one.
        (_, Some(file)) => {
            let read = fs::read_to_string(file);
            let text = read.map_err(|error| TaskFailure::new(format!("{file}: {error}")))?;
            Some(text.trim().to_owned())
        }
        (Some(token), None) => Some(token.expose_secret().to_owned()),
        (None, None) => None,
    };
    let password = user.password.as_ref();
    let password = password
        .map(|password| password.expose_secret())
        .unwrap_or_default();
    let authorization = match (token, &user.username) {
        (Some(token), _) => Some(format!("Bearer {token}")),
        (None, Some(name)) => {
            let pair = STANDARD.encode(format!("{name}:{password}"));
            Some(format!("Basic {pair}"))
        }
        (None, None) => None,
    };
    if let Some(authorization) = authorization {
        let mut value = value("the user's token or name", &authorization)?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    impersonate(user, &mut headers)?;
    Ok(headers)
}

fn impersonate(user: &AuthInfo, headers: &mut HeaderMap) -> Result<(), TaskFailure> {
    if user.impersonate_user_extra.is_some() {
        let text = "the user's as-user-extra is not supported; use kubectl";
        return Err(TaskFailure::new(text));
    }
    let mut add = |name: &'static str, text: &str| {
        let value = value(name, text)?;
        headers.append(HeaderName::from_static(name), value);
        Ok(())
    };
    if let Some(name) = &user.impersonate {
        add("impersonate-user", name)?;
    }
    if let Some(uid) = &user.impersonate_uid {
        add("impersonate-uid", uid)?;
    }
    let groups = user.impersonate_groups.iter().flatten();
    groups
        .into_iter()
        .try_for_each(|group| add("impersonate-group", group))
}

fn value(name: &str, text: &str) -> Result<HeaderValue, TaskFailure> {
    let wrong = |_| TaskFailure::new(format!("{name} cannot be a header field"));
    HeaderValue::from_str(text).map_err(wrong)
}
