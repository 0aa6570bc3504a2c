//! What builds keep for later builds.

use bollard::query_parameters::PruneBuildOptions;
use bollard::{BollardRequest, ClientVersion, Docker};

use super::{Care, Reason};

/// From this API on what is to stay has another name.
const RENAMED: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 48,
};

impl Reason {
    fn options(self) -> PruneBuildOptions {
        let mut options = PruneBuildOptions::default();
        match self {
            Self::Age(age) => {
                let until = vec![format!("{}s", age.as_secs())];
                options.filters = Some([("until".to_owned(), until)].into());
            }
            Self::Size(limit) => {
                options.reserved_space = Some(i64::try_from(limit).unwrap_or(i64::MAX));
            }
            Self::LowDisk => {}
        }
        options
    }
}

impl Care {
    /// What no build uses now goes, if it is too old or too much. If the disk is full, all of it.
    pub(super) async fn prune_builds(&self, disk_is_full: bool) {
        let Some(settings) = self.builds else { return };
        let reasons = if disk_is_full {
            [Some(Reason::LowDisk), None]
        } else {
            [
                settings.max_age.map(Reason::Age),
                settings.max_bytes.map(Reason::Size),
            ]
        };
        for reason in reasons.into_iter().flatten() {
            self.prune(reason).await;
        }
    }

    async fn prune(&self, reason: Reason) {
        let pruned = speaking_its_version(&self.engine)
            .prune_build(Some(reason.options()))
            .await;
        match pruned {
            Ok(pruned) => {
                let bytes = pruned.space_reclaimed.unwrap_or(0);
                if bytes > 0 {
                    tracing::info!(megabytes = bytes / 1_000_000, %reason, "build cache pruned");
                }
            }
            // Not every Engine has one.
            Err(error) => tracing::debug!(%error, "build cache not pruned"),
        }
    }
}

/// The client only knows the newer name, which an older Engine does not: it would keep nothing.
fn speaking_its_version(engine: &Docker) -> Docker {
    let engine = engine.clone();
    if engine.client_version() >= RENAMED {
        return engine;
    }
    engine.with_request_modifier(|mut request: BollardRequest| {
        let address = request.uri().to_string();
        if let Ok(address) = address.replace("reserved-space=", "keep-storage=").parse() {
            *request.uri_mut() = address;
        }
        request
    })
}
