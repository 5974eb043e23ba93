<?php

// The config.php of a SimpleSAMLphp that queries the authority: the published snippet and what every installation must set.
// QUESTION_FILE names the JSON file that the driver wrote.

$question = json_decode(file_get_contents(getenv('QUESTION_FILE')), true, 512, JSON_THROW_ON_ERROR);

$published = require $question['snippets'] . '/config.php';
array_walk_recursive($published, function (&$value) use ($question): void {
    $value = $value === '/etc/simplesamlphp/metadata/orcid-authority.xml' ? $question['authority_metadata'] : $value;
});

$config = $published + [
    'baseurlpath' => 'simplesaml/',
    'tempdir' => $question['directory'],
    'loggingdir' => $question['directory'] . '/',
    'logging.handler' => 'file',
    'logging.logfile' => 'simplesamlphp.log',
    'logging.level' => 7,
    'secretsalt' => 'a-salt-of-the-test',
    'timezone' => 'UTC',
    'store.type' => 'phpsession',
];
