<?php

// Who can sign in: the people of the JSON file, by name and password.

$identityProvider = json_decode(file_get_contents(getenv('IDENTITY_PROVIDER_FILE')), true, 512, JSON_THROW_ON_ERROR);

$config = ['people' => ['exampleauth:UserPass'] + $identityProvider['people']];
