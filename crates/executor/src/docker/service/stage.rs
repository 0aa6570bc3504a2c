//! How far a service is.

use bollard::models::{ContainerState, ContainerStateStatusEnum, HealthStatusEnum};

/// How far a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Running,
    Ready,
    Ended { code: i64 },
}

/// What the Engine says about a container. `Running`: only its ports can tell whether it is ready.
pub(super) fn stage(state: &ContainerState, has_healthcheck: bool) -> Stage {
    match state.status {
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD) => Stage::Ended {
            code: state.exit_code.unwrap_or(0),
        },
        Some(ContainerStateStatusEnum::RUNNING) if has_healthcheck => {
            match state.health.as_ref().and_then(|health| health.status) {
                Some(HealthStatusEnum::HEALTHY) => Stage::Ready,
                _ => Stage::Starting,
            }
        }
        Some(ContainerStateStatusEnum::RUNNING) => Stage::Running,
        _ => Stage::Starting,
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerState, ContainerStateStatusEnum, Health, HealthStatusEnum};

    use super::{Stage, stage};

    fn running(health: HealthStatusEnum) -> ContainerState {
        ContainerState {
            status: Some(ContainerStateStatusEnum::RUNNING),
            health: Some(Health {
                status: Some(health),
                ..Health::default()
            }),
            ..ContainerState::default()
        }
    }

    #[test]
    fn health_counts_where_there_is_a_check() {
        assert_eq!(
            stage(&running(HealthStatusEnum::STARTING), true),
            Stage::Starting
        );
        assert_eq!(
            stage(&running(HealthStatusEnum::UNHEALTHY), true),
            Stage::Starting
        );
        assert_eq!(
            stage(&running(HealthStatusEnum::HEALTHY), true),
            Stage::Ready
        );
        assert_eq!(
            stage(&running(HealthStatusEnum::NONE), false),
            Stage::Running
        );
    }

    #[test]
    fn an_end_is_an_end() {
        let state = ContainerState {
            status: Some(ContainerStateStatusEnum::EXITED),
            exit_code: Some(137),
            ..ContainerState::default()
        };
        assert_eq!(stage(&state, true), Stage::Ended { code: 137 });
    }
}
