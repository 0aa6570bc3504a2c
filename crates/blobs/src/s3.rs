//! How to talk to a bucket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, RetryConfig};
use reqwest::header::CONTENT_RANGE;
use reqwest::{StatusCode, Url, redirect};

use crate::location::{Bucket, InvalidLocation, endpoint, is_loopback, is_region};
use crate::sign::Signer;
use crate::{Environment, OpenError, Patience};

/// What of the environment is about credentials. The rest of it is not ours to follow: one setting
/// of a store has one place.
const CREDENTIALS: &[AmazonS3ConfigKey] = &[
    AmazonS3ConfigKey::AccessKeyId,
    AmazonS3ConfigKey::SecretAccessKey,
    AmazonS3ConfigKey::Token,
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::RoleArn,
    AmazonS3ConfigKey::RoleSessionName,
    AmazonS3ConfigKey::StsEndpoint,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
    AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    AmazonS3ConfigKey::MetadataEndpoint,
    AmazonS3ConfigKey::ImdsV1Fallback,
];

/// A client of a bucket, and what signs URLs for it.
pub fn connect(
    bucket: &Bucket,
    environment: &Environment,
    patience: Patience,
) -> Result<(AmazonS3, Signer), OpenError> {
    let address = Address::new(bucket, environment)?;
    let store = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&address.region)
        // The bucket is in the URL already; these words make the builder take it as it is.
        .with_endpoint(address.url.as_str().trim_end_matches('/'))
        .with_virtual_hosted_style_request(true)
        .with_allow_http(address.url.scheme() == "http")
        // Many servers that speak S3 cannot delete several objects in one call.
        .with_disable_bulk_delete(true)
        .with_retry(retry(patience))
        .with_http_connector(Connector {
            direct: is_loopback(&address.url),
            patience,
        });
    let store = with_credentials(store, environment)
        .build()
        .map_err(OpenError::Client)?;
    let signer = Signer {
        bucket: address.url,
        region: address.region,
        credentials: Arc::clone(store.credentials()),
    };
    Ok((store, signer))
}

/// Where a bucket is: what stands in its location beats the environment.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// Ends with a slash; an object's key comes after it.
    url: Url,
    region: String,
}

impl Address {
    fn new(bucket: &Bucket, environment: &Environment) -> Result<Self, OpenError> {
        let named = first(environment, &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let endpoint = match (&bucket.endpoint, named) {
            (Some(endpoint), _) => Some(endpoint.clone()),
            (None, Some(text)) => Some(endpoint(text)?),
            (None, None) => None,
        };
        let named = first(environment, &["AWS_REGION", "AWS_DEFAULT_REGION"]);
        let region = match (bucket.region.as_deref().or(named), &endpoint) {
            (Some(region), _) if is_region(region) => region.to_owned(),
            (Some(_), _) => return Err(InvalidLocation::Option("region".to_owned()).into()),
            // Servers that are not Amazon's have one region, and mostly give it this name.
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => return Err(OpenError::NoRegion),
        };
        let url = match &endpoint {
            Some(endpoint) => {
                bucket.may_use(endpoint)?;
                bucket_url(bucket, endpoint, bucket.path_style.unwrap_or(true))
            }
            // A certificate for `*.s3…` does not hold for a name with more dots.
            None => amazon(&region).and_then(|endpoint| {
                let path_style = bucket.path_style.unwrap_or(bucket.name.contains('.'));
                bucket_url(bucket, &endpoint, path_style)
            }),
        };
        let url = url.ok_or(InvalidLocation::Endpoint)?;
        Ok(Self { url, region })
    }
}

fn amazon(region: &str) -> Option<Url> {
    Url::parse(&format!("https://s3.{region}.amazonaws.com")).ok()
}

fn bucket_url(bucket: &Bucket, endpoint: &Url, path_style: bool) -> Option<Url> {
    let mut url = endpoint.clone();
    let path = endpoint.path().trim_end_matches('/');
    if path_style {
        url.set_path(&format!("{path}/{}/", bucket.name));
    } else {
        url.set_path(&format!("{path}/"));
        let host = format!("{}.{}", bucket.name, endpoint.host_str()?);
        url.set_host(Some(&host)).ok()?;
    }
    Some(url)
}

fn first<'a>(environment: &'a Environment, names: &[&str]) -> Option<&'a str> {
    let values = names.iter().filter_map(|name| environment.get(*name));
    values.map(String::as_str).find(|value| !value.is_empty())
}

fn with_credentials(builder: AmazonS3Builder, environment: &Environment) -> AmazonS3Builder {
    let known = environment.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix("AWS_").filter(|_| !value.is_empty())?;
        let key = format!("aws_{}", key.to_ascii_lowercase()).parse().ok()?;
        CREDENTIALS.contains(&key).then_some((key, value))
    });
    known.fold(builder, |builder, (key, value)| {
        builder.with_config(key, value)
    })
}

fn retry(patience: Patience) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 10,
        // The last try may take its time too.
        retry_timeout: patience.total / 2,
    }
}

/// Makes HTTP clients that follow no redirects and wait for nothing for ever.
#[derive(Debug)]
struct Connector {
    /// A proxy for the world is not for loopback.
    direct: bool,
    patience: Patience,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .https_only(http.as_deref() != Some("true"))
            .connect_timeout(self.patience.connect)
            .read_timeout(self.patience.silence);
        if self.direct {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error),
            })?;
        Ok(HttpClient::new(Client(client)))
    }
}

/// Takes a part of an object for what it is. Some servers (rclone is one) call it `200 OK`, which
/// is not believed further up.
#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut response = self.0.call(request).await?;
        if response.status() == StatusCode::OK && response.headers().contains_key(CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;

    fn address(location: &str, environment: &[(&str, &str)]) -> Result<String, OpenError> {
        let Ok(Location::Bucket(bucket)) = location.parse() else {
            panic!("{location} is not a bucket");
        };
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Environment = environment.iter().map(owned).collect();
        let found = Address::new(&bucket, &environment)?;
        Ok(format!("{} {}", found.url, found.region))
    }

    #[test]
    fn a_bucket_is_where_its_location_or_else_the_environment_says() {
        let minio: &[_] = &[
            ("AWS_ENDPOINT_URL", "https://minio:9000"),
            ("AWS_REGION", "mars"),
        ];
        for (location, environment, found) in [
            (
                "s3://blobs?region=eu-west-1",
                &[][..],
                "https://blobs.s3.eu-west-1.amazonaws.com/ eu-west-1",
            ),
            (
                "s3://my.blobs?region=eu-west-1",
                &[],
                "https://s3.eu-west-1.amazonaws.com/my.blobs/ eu-west-1",
            ),
            (
                "s3://blobs?endpoint=https://s3.example.com",
                &[],
                "https://s3.example.com/blobs/ us-east-1",
            ),
            (
                "s3://blobs?endpoint=https://example.com/s3/",
                &[],
                "https://example.com/s3/blobs/ us-east-1",
            ),
            (
                "s3://blobs?endpoint=https://s3.example.com:1&path_style=false",
                &[],
                "https://blobs.s3.example.com:1/ us-east-1",
            ),
            ("s3://blobs", minio, "https://minio:9000/blobs/ mars"),
            (
                "s3://blobs?region=venus&endpoint=https://other",
                minio,
                "https://other/blobs/ venus",
            ),
        ] {
            assert_eq!(address(location, environment).expect(location), found);
        }
    }

    #[test]
    fn an_address_that_is_missing_or_unsafe_is_refused() {
        assert!(matches!(
            address("s3://blobs", &[]),
            Err(OpenError::NoRegion)
        ));
        let clear: &[_] = &[("AWS_ENDPOINT_URL", "http://minio:9000")];
        let refused = address("s3://blobs", clear);
        assert!(matches!(
            refused,
            Err(OpenError::Location(InvalidLocation::Insecure))
        ));
        assert!(address("s3://blobs?allow_http=true", clear).is_ok());
        let secret: &[_] = &[("AWS_ENDPOINT_URL", "https://key:hunter2@minio")];
        let refused = address("s3://blobs", secret).expect_err("credentials");
        assert!(!format!("{refused:?} {refused}").contains("hunter2"));
    }
}
