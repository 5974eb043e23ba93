-- A read-only view of the iDs in force, for identity providers that read them from our database at login (PostgreSQL 12 or newer).
--
--     psql --set ON_ERROR_STOP=1 --single-transaction --file orcid-view.sql DATABASE
--
-- as the owner of the database, after `attribute-authority database upgrade`. It may be run again at any time.
-- Then orcid-reader.sql, once for each home organisation: a role sees its own home organisation's people, and nothing else.

CREATE SCHEMA IF NOT EXISTS orcid_view;

-- Which role may see whose people. Nobody but the owner reads this table.
CREATE TABLE IF NOT EXISTS orcid_view.reader (
    role_name name PRIMARY KEY,
    home_organisation text NOT NULL,
    environment text NOT NULL DEFAULT 'production' CHECK (environment IN ('production', 'sandbox'))
);

-- One row for each identifier, so that each can be found by the index on identifiers; the other two columns of the row are NULL.
-- security_barrier: no condition of the reader's is tried on rows of others. current_user is who asks, not the owner of the view.
CREATE OR REPLACE VIEW orcid_view.eduperson_orcid WITH (security_barrier) AS
SELECT
    subject.home_organisation,
    found.eppn,
    found.subject_id,
    found.unique_id,
    CASE link.environment WHEN 'production' THEN 'https://orcid.org/' WHEN 'sandbox' THEN 'https://sandbox.orcid.org/' END
        || link.orcid AS orcid
FROM (
    SELECT subject_id AS person, value AS eppn, NULL AS subject_id, NULL AS unique_id FROM public.identifier WHERE kind = 'eppn'
    UNION ALL
    SELECT subject_id, NULL, value, NULL FROM public.identifier WHERE kind = 'subject-id'
    UNION ALL
    SELECT subject_id, NULL, NULL, value FROM public.identifier WHERE kind = 'unique-id'
) AS found
JOIN public.subject ON subject.id = found.person
JOIN public.link ON link.subject_id = found.person AND link.withdrawn_at IS NULL
JOIN orcid_view.reader
    ON reader.home_organisation = subject.home_organisation
    AND reader.environment = link.environment
    AND reader.role_name = current_user;

-- What every reader may do: look at the view.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orcid_reader') THEN
        CREATE ROLE orcid_reader NOLOGIN;
    END IF;
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA orcid_view FROM PUBLIC, orcid_reader;
GRANT USAGE ON SCHEMA orcid_view TO orcid_reader;
GRANT SELECT ON orcid_view.eduperson_orcid TO orcid_reader;
