//! Pipelines: from a config to a queue, and what becomes of them.

use std::sync::Arc;

use indexmap::IndexMap;
use outrider_api::ErrorCode;
use outrider_api::error::Diagnostic;
use outrider_api::pipelines::{Canceled, SubmitPipeline, SubmittedPipeline};
use outrider_config::{Compiled, Diagnostics, Options, ParameterValue, PipelineValues, SourceFile};
use outrider_model::plan::{JobKind, Plan, Source, Trigger};
use outrider_model::{JobId, PipelineId};
use outrider_store::{CancelTarget, Event, EventSeq, NewPipeline, Reserved};

use super::{Core, orbs, source};
use crate::ApiError;
use crate::error::InvalidConfig;
use crate::watch::Topic;

/// What a config is called where its sender did not say.
const CONFIG_NAME: &str = ".circleci/config.yml";

impl Core {
    /// Compiles a config and queues it.
    pub async fn submit_pipeline(
        &self,
        mut request: SubmitPipeline,
        idempotency_key: Option<String>,
    ) -> Result<SubmittedPipeline, ApiError> {
        check_project(&request.project)?;
        source::check(&request.source)?;
        let reserved = self.reserve_if_named(&request).await?;
        let mut options = self.options(&request, reserved);
        let given = orbs::given(std::mem::take(&mut request.orbs))?;
        let name = request
            .config_name
            .clone()
            .unwrap_or_else(|| CONFIG_NAME.to_owned());
        let file = SourceFile::new(name, request.config.clone());
        options.orbs = self.orbs_for(&file, given).await?;
        let (file, compiled) = compile(file, options).await?;
        let warnings =
            (!compiled.warnings.is_empty()).then(|| compiled.warnings.render(&file, false));
        let new = NewPipeline {
            trigger: trigger(&request),
            plan: self.in_its_class(compiled.plan),
            parameters: request.parameters,
            config: request.config,
            idempotency_key,
            reserved,
        };
        let submitted = self.store.submit_pipeline(new, self.clock.now()).await?;
        self.hub.wake(&submitted.woken);
        self.watchers.touch_any();
        Ok(SubmittedPipeline {
            id: submitted.pipeline,
            number: submitted.number,
            warnings,
        })
    }

    /// A plan whose jobs are queued where this server queues them.
    pub(super) fn in_its_class(&self, mut plan: Plan) -> Plan {
        let Some(class) = &self.settings.every_job_in else {
            return plan;
        };
        let workflows = plan.workflows.iter_mut();
        for job in workflows.flat_map(|workflow| &mut workflow.jobs) {
            if let JobKind::Build(build) = &mut job.kind {
                build.class = class.clone();
            }
        }
        plan
    }

    /// Cancels a pipeline or a job, in the name of a person.
    pub async fn cancel(&self, what: CancelTarget, by: &str) -> Result<Canceled, ApiError> {
        let canceled = self
            .store
            .cancel(what, by.to_owned(), self.clock.now())
            .await?;
        self.hub.wake(&canceled.woken);
        for (_, runner) in &canceled.stopping {
            self.watchers.touch(Topic::Runner(*runner));
        }
        self.watchers.touch_any();
        let stopping = u32::try_from(canceled.stopping.len()).unwrap_or(u32::MAX);
        Ok(Canceled {
            ended: canceled.ended,
            stopping,
        })
    }

    /// Approves a job that is on hold, in the name of a person.
    pub async fn approve(&self, job: JobId, by: &str) -> Result<(), ApiError> {
        let woken = self
            .store
            .approve(job, by.to_owned(), self.clock.now())
            .await?;
        self.hub.wake(&woken);
        self.watchers.touch_any();
        Ok(())
    }

    /// The events of a pipeline after one that is known, waiting for the first if there is none.
    pub async fn next_events(
        self: &Arc<Self>,
        pipeline: PipelineId,
        after: EventSeq,
        limit: u32,
    ) -> Result<Vec<Event>, ApiError> {
        let mut changes = self.watchers.any();
        loop {
            changes.mark_unchanged();
            let events = self.store.events(pipeline, after, limit).await?;
            if !events.is_empty() {
                return Ok(events);
            }
            // The sender lives as long as the core.
            let _ = changes.changed().await;
        }
    }

    /// A pipeline gets its id and number when it is written; a config that names them has to have
    /// them before.
    async fn reserve_if_named(
        &self,
        request: &SubmitPipeline,
    ) -> Result<Option<Reserved>, ApiError> {
        let names = ["pipeline.id", "pipeline.number"];
        if !names.into_iter().any(|name| request.config.contains(name)) {
            return Ok(None);
        }
        let reserved = self
            .store
            .reserve_pipeline(request.project.clone(), self.clock.now())
            .await?;
        Ok(Some(reserved))
    }

    fn options(&self, request: &SubmitPipeline, reserved: Option<Reserved>) -> Options {
        let parameters: IndexMap<_, _> = request
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), ParameterValue::Text(value.clone())))
            .collect();
        Options {
            parameters,
            values: values(&trigger(request), reserved),
            only_workflow: request.workflow.clone(),
            only_job: request.job.clone(),
            ..Options::new(self.settings.default_class.clone())
        }
    }
}

fn trigger(request: &SubmitPipeline) -> Trigger {
    Trigger {
        project: request.project.clone(),
        source: request.source.clone(),
        branch: request.branch.clone(),
        tag: request.tag.clone(),
        revision: request.revision.clone(),
        untrusted: request.untrusted,
    }
}

/// What a config can read of its pipeline.
pub(super) fn values(trigger: &Trigger, reserved: Option<Reserved>) -> PipelineValues {
    let git_url = match &trigger.source {
        Source::Git { url, .. } => Some(url.clone()),
        Source::None | Source::Directory { .. } => None,
    };
    PipelineValues {
        id: reserved.map(|reserved| reserved.pipeline.to_string()),
        number: reserved.map(|reserved| reserved.number),
        project_slug: Some(trigger.project.clone()),
        git_url,
        git_branch: trigger.branch.clone(),
        git_tag: trigger.tag.clone(),
        git_revision: trigger.revision.clone(),
        trigger_source: Some("api".to_owned()),
        ..PipelineValues::default()
    }
}

/// Compiles off the threads that serve others: a large config takes some milliseconds.
pub(super) async fn compile(
    source: SourceFile,
    options: Options,
) -> Result<(SourceFile, Compiled), ApiError> {
    let work = move || match outrider_config::compile(&source, &options) {
        Ok(compiled) => Ok((source, compiled)),
        Err(diagnostics) => Err(invalid_config(&source, &options, &diagnostics)),
    };
    let compiled = tokio::task::spawn_blocking(work).await;
    compiled.map_err(|error| ApiError::internal("compile the config", &error))?
}

fn invalid_config(source: &SourceFile, options: &Options, diagnostics: &Diagnostics) -> ApiError {
    let mut error = ApiError::new(ErrorCode::InvalidConfig, "the config does not compile")
        .advise("Mend what the diagnostics point at, and send it again.");
    error.config = Some(Box::new(InvalidConfig {
        diagnostics: diagnostics.iter().map(on_the_wire).collect(),
        rendered: diagnostics.render(source, false),
        missing_orbs: orbs::missing(source, options),
    }));
    error
}

fn on_the_wire(diagnostic: &outrider_config::Diagnostic) -> Diagnostic {
    let severity = match diagnostic.severity {
        outrider_config::Severity::Error => "error",
        outrider_config::Severity::Warning => "warning",
    };
    Diagnostic {
        severity: severity.to_owned(),
        code: diagnostic.code.to_owned(),
        message: diagnostic.message.clone(),
        line: u32::try_from(diagnostic.location.line).unwrap_or(u32::MAX),
        column: u32::try_from(diagnostic.location.column).unwrap_or(u32::MAX),
        help: diagnostic.help.clone(),
    }
}

pub(super) fn check_project(project: &str) -> Result<(), ApiError> {
    let plain = |c: char| c.is_alphanumeric() || "-_./ ".contains(c);
    if !project.is_empty() && project.len() <= 200 && project.chars().all(plain) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::BadRequest,
        "a project's name has 1 to 200 letters, digits or - _ . / characters",
    )
    .advise("Name it like its repository, for example acme/shop."))
}
