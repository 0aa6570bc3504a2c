//! What jobs run in.

use outrider_model::plan::{DockerImage, EnvironmentKind, RegistryAuth};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{text, variables};

pub fn environment_kind() -> impl Strategy<Value = EnvironmentKind> {
    let words = || vec(prop_oneof![text(), Just(String::new())], 0..3);
    let image = (
        text(),
        of(text()),
        words(),
        words(),
        of(text()),
        (variables(), of(auth())),
    )
        .prop_map(
            |(image, name, entrypoint, command, user, (environment, auth))| DockerImage {
                image,
                name,
                entrypoint,
                command,
                user,
                environment,
                auth,
            },
        );
    prop_oneof![
        of(text()).prop_map(|image| EnvironmentKind::Machine { image }),
        vec(image, 1..3).prop_map(|images| EnvironmentKind::Docker { images }),
        text().prop_map(|xcode| EnvironmentKind::Macos { xcode }),
    ]
}

fn auth() -> impl Strategy<Value = RegistryAuth> {
    prop_oneof![
        (text(), text())
            .prop_map(|(username, password)| RegistryAuth::Password { username, password }),
        (text(), text()).prop_map(|(access_key_id, secret_access_key)| RegistryAuth::AwsKey {
            access_key_id,
            secret_access_key,
        }),
        text().prop_map(|role_arn| RegistryAuth::AwsRole { role_arn }),
        (of(text()), of(text())).prop_map(|(workload_identity_provider, service_account)| {
            RegistryAuth::Gcp {
                workload_identity_provider,
                service_account,
            }
        }),
    ]
}
