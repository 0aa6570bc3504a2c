//! One use of a job.

use outrider_model::plan::{BuildPlan, JobKind, JobSpec};

use super::Expander;
use super::bind::bind;
use super::substitute::{Scope, substitute};
use crate::diagnostic::{code, error};
use crate::syntax::{Definition, Invocation, JobType, KINDS};
use crate::yaml::{Mapping, Span};

impl Expander<'_> {
    /// What the job that an invocation asks for does. `None` if it cannot be told.
    pub(super) fn job(&self, invocation: &Invocation, definition: &Definition) -> Option<JobKind> {
        let cx = self.reader.cx;
        let span = invocation.job_span;
        let what = format!("job `{}`", invocation.job);
        let values = bind(
            self.reader,
            &what,
            &definition.parameters,
            &invocation.arguments,
            span,
        );
        let body = cx.used_at(span, || {
            substitute(cx, &definition.body, Scope::Parameters(&values))
        });
        let body = body.as_mapping()?;
        let kind = body.present("type");
        let kind = kind.map_or(Some(JobType::Build), |node| {
            cx.used_at(span, || self.reader.job_type(node))
        });
        match kind? {
            JobType::Build => self.build(invocation, definition, body),
            JobType::WithoutSteps(kind) => cx.used_at(span, || {
                self.reader.without_steps(kind, body, definition.name_span)
            }),
        }
    }

    /// A job that runs steps.
    fn build(
        &self,
        invocation: &Invocation,
        definition: &Definition,
        body: &Mapping,
    ) -> Option<JobKind> {
        let cx = self.reader.cx;
        let mut steps = vec![];
        if let Some(pre) = &invocation.pre_steps {
            self.steps(pre, &mut steps);
        }
        let job = cx.used_at(invocation.job_span, || {
            let (body, inherited) = self.with_executor(body)?;
            let mut job = self.reader.job(&invocation.job, &body);
            if let Some(inherited) = inherited {
                let own = std::mem::take(&mut job.environment);
                job.environment = self.reader.environment(&inherited);
                job.environment.extend(own);
            }
            if let Some(list) = &job.steps {
                self.steps(list, &mut steps);
            }
            self.check_kind(&invocation.job, definition.name_span, &body);
            Some(job)
        })?;
        if let Some(post) = &invocation.post_steps {
            self.steps(post, &mut steps);
        }
        Some(JobKind::Build(Box::new(BuildPlan {
            class: job.class,
            parallelism: job.parallelism,
            spec: JobSpec {
                environment_kind: job.environment_kind?,
                shell: job.shell,
                working_directory: job.working_directory,
                environment: job.environment,
                steps,
                resource_class: job.resource_class,
                retry_when_lost: false,
                cache_retention_days: job.cache_retention_days,
            },
        })))
    }

    /// A job must say in what it runs.
    fn check_kind(&self, name: &str, span: Span, body: &Mapping) {
        if !KINDS.iter().any(|kind| body.present(kind).is_some()) {
            let message = format!("job `{name}` does not say in what it runs");
            self.reader.report(
                error(code::NO_EXECUTOR, span, message).help(
                    "add `machine: true`, `docker:` with an image, or `executor:` with a name",
                ),
            );
        }
    }
}
